/* SPDX-License-Identifier: MIT */
/* A program that uses an installed Casement: runs "return 42" and asks libbpf's API for its
 * version. */
#include <bpf/libbpf.h>
#include <casement/vm.h>
#include <stdio.h>

int main(void) {
    /* r0 = 42; exit */
    static const unsigned char code[] = {0xb7, 0, 0, 0, 42, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0};
    uint64_t result = 0;
    casement_vm* vm = casement_vm_create();
    if (vm == NULL || casement_vm_load(vm, code, sizeof code) != 0 ||
        casement_vm_compile(vm) != 0 || casement_vm_run(vm, NULL, 0, &result) != 0) {
        fprintf(stderr, "%s\n", vm != NULL ? casement_vm_error(vm) : "no memory");
        return 1;
    }
    casement_vm_destroy(vm);
    printf("%llu, libbpf %s\n", (unsigned long long)result, libbpf_version_string());
    return 0;
}
