/* SPDX-License-Identifier: MIT */
/*
 * Reading kernel structures whose layout is settled at load time: the compiler records each access
 * and the loader writes the offsets of the running kernel into the program. The interface is
 * libbpf's.
 */
#ifndef CASEMENT_BPF_CORE_READ_H
#define CASEMENT_BPF_CORE_READ_H
#define __BPF_CORE_READ_H__

/* What a relocation asks for: the numbers are the compiler's. */
enum bpf_field_info_kind {
    BPF_FIELD_BYTE_OFFSET = 0,
    BPF_FIELD_BYTE_SIZE = 1,
    BPF_FIELD_EXISTS = 2,
    BPF_FIELD_SIGNED = 3,
    BPF_FIELD_LSHIFT_U64 = 4,
    BPF_FIELD_RSHIFT_U64 = 5,
};
enum bpf_type_id_kind { BPF_TYPE_ID_LOCAL = 0, BPF_TYPE_ID_TARGET = 1 };
enum bpf_type_info_kind { BPF_TYPE_EXISTS = 0, BPF_TYPE_SIZE = 1, BPF_TYPE_MATCHES = 2 };
enum bpf_enum_value_kind { BPF_ENUMVAL_EXISTS = 0, BPF_ENUMVAL_VALUE = 1 };

/* A field is named as an expression (p->f) or as a type and a member (struct s, f). */
#define BPF_CORE_PICK2(_1, _2, n, ...) n
#define BPF_CORE_FIELD_1(expression) expression
#define BPF_CORE_FIELD_2(type, member) (((typeof(type)*)0)->member)
#define BPF_CORE_FIELD(...) \
    BPF_CORE_PICK2(__VA_ARGS__, BPF_CORE_FIELD_2, BPF_CORE_FIELD_1, )(__VA_ARGS__)

#define bpf_core_field_exists(...) \
    __builtin_preserve_field_info(BPF_CORE_FIELD(__VA_ARGS__), BPF_FIELD_EXISTS)
#define bpf_core_field_size(...) \
    __builtin_preserve_field_info(BPF_CORE_FIELD(__VA_ARGS__), BPF_FIELD_BYTE_SIZE)
#define bpf_core_field_offset(...) \
    __builtin_preserve_field_info(BPF_CORE_FIELD(__VA_ARGS__), BPF_FIELD_BYTE_OFFSET)

#define bpf_core_type_id_local(type) __builtin_btf_type_id(*(typeof(type)*)0, BPF_TYPE_ID_LOCAL)
#define bpf_core_type_id_kernel(type) __builtin_btf_type_id(*(typeof(type)*)0, BPF_TYPE_ID_TARGET)
#define bpf_core_type_exists(type) __builtin_preserve_type_info(*(typeof(type)*)0, BPF_TYPE_EXISTS)
#define bpf_core_type_size(type) __builtin_preserve_type_info(*(typeof(type)*)0, BPF_TYPE_SIZE)
#define bpf_core_type_matches(type) \
    __builtin_preserve_type_info(*(typeof(type)*)0, BPF_TYPE_MATCHES)
#define bpf_core_enum_value_exists(enum_type, enum_value) \
    __builtin_preserve_enum_value(*(typeof(enum_type)*)enum_value, BPF_ENUMVAL_EXISTS)
#define bpf_core_enum_value(enum_type, enum_value) \
    __builtin_preserve_enum_value(*(typeof(enum_type)*)enum_value, BPF_ENUMVAL_VALUE)

/* --- one access --- */

#define BPF_CORE_ADDRESS(place) ((const void*)__builtin_preserve_access_index(place))

#define bpf_core_read(dst, size, src) bpf_probe_read_kernel(dst, size, BPF_CORE_ADDRESS(src))
#define bpf_core_read_user(dst, size, src) bpf_probe_read_user(dst, size, BPF_CORE_ADDRESS(src))
#define bpf_core_read_str(dst, size, src) \
    bpf_probe_read_kernel_str(dst, size, BPF_CORE_ADDRESS(src))
#define bpf_core_read_user_str(dst, size, src) \
    bpf_probe_read_user_str(dst, size, BPF_CORE_ADDRESS(src))

/* --- chains: BPF_CORE_READ(p, a, b, c) is p->a->b->c --- */

/* The pointer p->field, read with `read`; p is evaluated once. */
#define BPF_CORE_STEP(read, p, field)                         \
    ({                                                        \
        __auto_type bpf_p_ = (p);                             \
        const void* bpf_v_ = 0;                               \
        read((void*)&bpf_v_, sizeof(bpf_v_), &bpf_p_->field); \
        (typeof(bpf_p_->field))bpf_v_;                        \
    })

/* `last` reads the last field into dst, `read` the pointers before it. */
#define BPF_CORE_INTO_1(read, last, dst, p, f1)          \
    ({                                                   \
        __auto_type bpf_q_ = (p);                        \
        last((void*)(dst), sizeof(*(dst)), &bpf_q_->f1); \
    })
#define BPF_CORE_INTO_2(read, last, dst, p, f, ...) \
    BPF_CORE_INTO_1(read, last, dst, BPF_CORE_STEP(read, p, f), __VA_ARGS__)
#define BPF_CORE_INTO_3(read, last, dst, p, f, ...) \
    BPF_CORE_INTO_2(read, last, dst, BPF_CORE_STEP(read, p, f), __VA_ARGS__)
#define BPF_CORE_INTO_4(read, last, dst, p, f, ...) \
    BPF_CORE_INTO_3(read, last, dst, BPF_CORE_STEP(read, p, f), __VA_ARGS__)
#define BPF_CORE_INTO_5(read, last, dst, p, f, ...) \
    BPF_CORE_INTO_4(read, last, dst, BPF_CORE_STEP(read, p, f), __VA_ARGS__)
#define BPF_CORE_INTO_6(read, last, dst, p, f, ...) \
    BPF_CORE_INTO_5(read, last, dst, BPF_CORE_STEP(read, p, f), __VA_ARGS__)
#define BPF_CORE_INTO_7(read, last, dst, p, f, ...) \
    BPF_CORE_INTO_6(read, last, dst, BPF_CORE_STEP(read, p, f), __VA_ARGS__)
#define BPF_CORE_INTO_8(read, last, dst, p, f, ...) \
    BPF_CORE_INTO_7(read, last, dst, BPF_CORE_STEP(read, p, f), __VA_ARGS__)
#define BPF_CORE_INTO_9(read, last, dst, p, f, ...) \
    BPF_CORE_INTO_8(read, last, dst, BPF_CORE_STEP(read, p, f), __VA_ARGS__)

/* The type of p->f1->...->fn, without reading. */
#define BPF_CORE_PATH_1(p, f1) (p)->f1
#define BPF_CORE_PATH_2(p, f, ...) BPF_CORE_PATH_1((p)->f, __VA_ARGS__)
#define BPF_CORE_PATH_3(p, f, ...) BPF_CORE_PATH_2((p)->f, __VA_ARGS__)
#define BPF_CORE_PATH_4(p, f, ...) BPF_CORE_PATH_3((p)->f, __VA_ARGS__)
#define BPF_CORE_PATH_5(p, f, ...) BPF_CORE_PATH_4((p)->f, __VA_ARGS__)
#define BPF_CORE_PATH_6(p, f, ...) BPF_CORE_PATH_5((p)->f, __VA_ARGS__)
#define BPF_CORE_PATH_7(p, f, ...) BPF_CORE_PATH_6((p)->f, __VA_ARGS__)
#define BPF_CORE_PATH_8(p, f, ...) BPF_CORE_PATH_7((p)->f, __VA_ARGS__)
#define BPF_CORE_PATH_9(p, f, ...) BPF_CORE_PATH_8((p)->f, __VA_ARGS__)

#define BPF_CORE_NTH(_1, _2, _3, _4, _5, _6, _7, _8, _9, n, ...) n
#define BPF_CORE_COUNT(...) BPF_CORE_NTH(__VA_ARGS__, 9, 8, 7, 6, 5, 4, 3, 2, 1, )
#define BPF_CORE_PASTE_(a, b) a##b
#define BPF_CORE_PASTE(a, b) BPF_CORE_PASTE_(a, b)
#define BPF_CORE_INTO(read, last, dst, p, ...) \
    BPF_CORE_PASTE(BPF_CORE_INTO_, BPF_CORE_COUNT(__VA_ARGS__))(read, last, dst, p, __VA_ARGS__)
#define BPF_CORE_VALUE(read, p, ...)                                                             \
    ({                                                                                           \
        typeof(BPF_CORE_PASTE(BPF_CORE_PATH_, BPF_CORE_COUNT(__VA_ARGS__))(p,                    \
                                                                           __VA_ARGS__)) bpf_r_; \
        BPF_CORE_INTO(read, read, &bpf_r_, p, __VA_ARGS__);                                      \
        bpf_r_;                                                                                  \
    })

#define BPF_CORE_READ(src, ...) BPF_CORE_VALUE(bpf_core_read, src, __VA_ARGS__)
#define BPF_CORE_READ_USER(src, ...) BPF_CORE_VALUE(bpf_core_read_user, src, __VA_ARGS__)
#define BPF_PROBE_READ(src, ...) BPF_CORE_VALUE(bpf_probe_read_kernel, src, __VA_ARGS__)
#define BPF_PROBE_READ_USER(src, ...) BPF_CORE_VALUE(bpf_probe_read_user, src, __VA_ARGS__)

#define BPF_CORE_READ_INTO(dst, src, ...) \
    BPF_CORE_INTO(bpf_core_read, bpf_core_read, dst, src, __VA_ARGS__)
#define BPF_CORE_READ_USER_INTO(dst, src, ...) \
    BPF_CORE_INTO(bpf_core_read_user, bpf_core_read_user, dst, src, __VA_ARGS__)
#define BPF_PROBE_READ_INTO(dst, src, ...) \
    BPF_CORE_INTO(bpf_probe_read_kernel, bpf_probe_read_kernel, dst, src, __VA_ARGS__)
#define BPF_PROBE_READ_USER_INTO(dst, src, ...) \
    BPF_CORE_INTO(bpf_probe_read_user, bpf_probe_read_user, dst, src, __VA_ARGS__)
#define BPF_CORE_READ_STR_INTO(dst, src, ...) \
    BPF_CORE_INTO(bpf_core_read, bpf_core_read_str, dst, src, __VA_ARGS__)
#define BPF_CORE_READ_USER_STR_INTO(dst, src, ...) \
    BPF_CORE_INTO(bpf_core_read_user, bpf_core_read_user_str, dst, src, __VA_ARGS__)
#define BPF_PROBE_READ_STR_INTO(dst, src, ...) \
    BPF_CORE_INTO(bpf_probe_read_kernel, bpf_probe_read_kernel_str, dst, src, __VA_ARGS__)
#define BPF_PROBE_READ_USER_STR_INTO(dst, src, ...) \
    BPF_CORE_INTO(bpf_probe_read_user, bpf_probe_read_user_str, dst, src, __VA_ARGS__)

/* --- bit-fields --- */

#define BPF_CORE_INFO(p, field, what) __builtin_preserve_field_info((p)->field, BPF_FIELD_##what)
/* The field's bits move to the top and back, which extends them as their type says. */
#define BPF_CORE_EXTRACT(p, field, raw)                                                      \
    (BPF_CORE_INFO(p, field, SIGNED)                                                         \
         ? (unsigned long long)((long long)((raw) << BPF_CORE_INFO(p, field, LSHIFT_U64)) >> \
                                BPF_CORE_INFO(p, field, RSHIFT_U64))                         \
         : ((raw) << BPF_CORE_INFO(p, field, LSHIFT_U64)) >> BPF_CORE_INFO(p, field, RSHIFT_U64))

/* Through a helper, for memory that the program may not read itself. */
#define BPF_CORE_READ_BITFIELD_PROBED(p, field)                                         \
    ({                                                                                  \
        unsigned long long bpf_raw_ = 0;                                                \
        bpf_probe_read_kernel(&bpf_raw_, BPF_CORE_INFO(p, field, BYTE_SIZE),            \
                              (const char*)(p) + BPF_CORE_INFO(p, field, BYTE_OFFSET)); \
        BPF_CORE_EXTRACT(p, field, bpf_raw_);                                           \
    })

/* Directly, where typed pointers may be read. */
#define BPF_CORE_READ_BITFIELD(p, field)                                               \
    ({                                                                                 \
        const char* bpf_at_ = (const char*)(p) + BPF_CORE_INFO(p, field, BYTE_OFFSET); \
        unsigned long long bpf_raw_ = 0;                                               \
        switch (BPF_CORE_INFO(p, field, BYTE_SIZE)) {                                  \
            case 1:                                                                    \
                bpf_raw_ = *(const unsigned char*)bpf_at_;                             \
                break;                                                                 \
            case 2:                                                                    \
                bpf_raw_ = *(const unsigned short*)bpf_at_;                            \
                break;                                                                 \
            case 4:                                                                    \
                bpf_raw_ = *(const unsigned int*)bpf_at_;                              \
                break;                                                                 \
            case 8:                                                                    \
                bpf_raw_ = *(const unsigned long long*)bpf_at_;                        \
                break;                                                                 \
        }                                                                              \
        BPF_CORE_EXTRACT(p, field, bpf_raw_);                                          \
    })

#endif /* CASEMENT_BPF_CORE_READ_H */
