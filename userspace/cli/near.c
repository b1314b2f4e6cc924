// SPDX-License-Identifier: GPL-2.0-or-later
/* near.c - running where a device is
 *
 * A frame that another node's CPU writes or reads crosses between the nodes
 * twice.  So the threads that serve a device's queues stay on its node, as far
 * as the user lets them run there.
 */
#include "near.h"

#include <numa.h>
#include <stddef.h>

void near_node(int node)
{
	struct bitmask *near, *allowed;
	unsigned int i, n = 0;

	if (node < 0 || numa_available() < 0)
		return;
	near = numa_allocate_cpumask();
	allowed = numa_allocate_cpumask();
	if (!numa_node_to_cpus(node, near) &&
	    numa_sched_getaffinity(0, allowed) >= 0) {
		for (i = 0; i < near->size; i++)
			if (numa_bitmask_isbitset(near, i) &&
			    numa_bitmask_isbitset(allowed, i))
				n++;
			else
				numa_bitmask_clearbit(near, i);
		if (n)
			(void)numa_sched_setaffinity(0, near);
	}
	numa_free_cpumask(near);
	numa_free_cpumask(allowed);
}
