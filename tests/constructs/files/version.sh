#!/bin/sh
echo "2.6-3-gabc"
