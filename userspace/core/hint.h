/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hint.h - what the compiler cannot know of a path that every frame takes
 *
 * A function that is seldom called, inlined into one that is called for each frame,
 * makes that save registers which it does not need.
 */
#ifndef XM_CORE_HINT_H
#define XM_CORE_HINT_H

#define XM_SELDOM __attribute__((noinline, cold))
/* And two large ones in one spill each other's. */
#define XM_APART __attribute__((noinline))

#endif
