# Nothing there.
status
status foo
status foo/1.0
status -k "$K1"
