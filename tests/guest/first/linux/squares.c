/* SPDX-License-Identifier: MIT */
/* An ordinary program, for Linux as for linux-ring0. */
#include <stdio.h>

int main(void)
{
	for (int i = 1; i <= 10; i++)
		printf("%d squared is %d\n", i, i * i);
	return 42;
}
