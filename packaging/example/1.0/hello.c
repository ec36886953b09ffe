// SPDX-License-Identifier: MIT OR Apache-2.0
// The smallest module worth building: it greets when it is loaded.

#include <linux/init.h>
#include <linux/module.h>

static int __init hello_init(void)
{
	pr_info("hello: good morning\n");
	return 0;
}

static void __exit hello_exit(void)
{
	pr_info("hello: good night\n");
}

module_init(hello_init);
module_exit(hello_exit);

MODULE_DESCRIPTION("Greets when it is loaded");
MODULE_VERSION("1.0");
MODULE_LICENSE("Dual MIT/GPL");
