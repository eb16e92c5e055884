/* SPDX-License-Identifier: MIT */
/* What the programs of kfuncs.bpf.c found; long is shorter on Windows. */
struct kfuncs_findings {
    long long sum;
    long long pairs;
    long long repeated;
    long long nothing;
    long long exists;
    long long exists_not;
    long long size;
    long long rest;
    long long beyond;
    long long adjusted;
    long long flags;
    long long null;
    long long cut;
};
