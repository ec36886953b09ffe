// SPDX-License-Identifier: MIT OR Apache-2.0
// The smallest module worth building: it writes a greeting to the log when it is loaded.

#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static char *name = "world";
module_param(name, charp, 0444);
MODULE_PARM_DESC(name, "who is greeted");

static int __init hello_init(void)
{
	pr_info("hello: good morning, %s\n", name);
	return 0;
}

static void __exit hello_exit(void)
{
	pr_info("hello: good night, %s\n", name);
}

module_init(hello_init);
module_exit(hello_exit);

MODULE_DESCRIPTION("Writes a greeting when it is loaded");
MODULE_VERSION("1.1");
MODULE_LICENSE("Dual MIT/GPL");
