/* SPDX-License-Identifier: MIT */
/* What the programs of kfuncs.bpf.c found. */
struct kfuncs_findings {
    long sum;
    long pairs;
    long repeated;
    long nothing;
    long exists;
    long exists_not;
    long size;
    long rest;
    long beyond;
    long adjusted;
    long flags;
    long null;
    long cut;
};
