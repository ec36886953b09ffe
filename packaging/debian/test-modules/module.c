// SPDX-License-Identifier: MIT
/* The module of the three test packages: it says that it is there. */
#include <linux/module.h>

static int __init test_init(void)
{
	pr_info("loaded\n");
	return 0;
}

static void __exit test_exit(void)
{
}

module_init(test_init);
module_exit(test_exit);
MODULE_DESCRIPTION("Does nothing; for tests of dkms");
MODULE_LICENSE("GPL");
MODULE_VERSION("1.0");
