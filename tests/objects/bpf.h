// SPDX-License-Identifier: MIT
// The few declarations that the test objects need; they stand on their own so that any clang with a
// BPF back end compiles them.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

#define SEC(name) __attribute__((section(name), used))
#define NOINLINE __attribute__((noinline))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val)* name
#define __array(name, val) typeof(val)* name[]
#define __ulong(name, val) enum { CONCAT(unique_, __COUNTER__) = val } name
#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

enum { MAP_HASH = 1, MAP_ARRAY = 2, MAP_PROG_ARRAY = 3, MAP_ARRAY_OF_MAPS = 12, MAP_RINGBUF = 27 };

static void* (*map_lookup)(void* map, const void* key) = (void*)1;
static long (*map_update)(void* map, const void* key, const void* value, u64 flags) = (void*)2;
static u64 (*ktime_get_ns)(void) = (void*)5;
static long (*tail_call)(void* context, void* map, u32 index) = (void*)12;
static long (*loop)(u32 count, void* callback, void* context, u64 flags) = (void*)181;
