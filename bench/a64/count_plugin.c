/* SPDX-License-Identifier: MIT */
/*
 * A plugin of QEMU ("QEMU TCG Plugins" in its documentation): how many instructions were executed,
 * as a line on standard error when the program ends. Its few functions are declared here, since
 * Debian packages no header for them.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                                  void (*translated)(qemu_plugin_id_t,
                                                                     struct qemu_plugin_tb*));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb* tb,
                                                 void (*executed)(unsigned int cpu, void* data),
                                                 int flags, void* data);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id,
                                           void (*ended)(qemu_plugin_id_t, void* data), void* data);

EXPORT int qemu_plugin_version = 1;

static uint64_t count;

static void executed(unsigned int cpu, void* data) {
    (void)cpu;
    count += (uintptr_t)data;
}
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, (void*)qemu_plugin_tb_n_insns(tb));
}
static void ended(qemu_plugin_id_t id, void* data) {
    (void)id;
    (void)data;
    fprintf(stderr, "%llu\n", (unsigned long long)count);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc, char** argv) {
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
