/*
 * From the boot loader to nucleus_main. One way in: Multiboot 1 (QEMU -kernel, GRUB `multiboot`), in 32-bit
 * protected mode with eax = 0x2badb002 and ebx = the information structure. The a.out fields of the header
 * make loaders take this ELF64 file as it is.
 *
 * Here the first 4 GiB are mapped three times, writable and executable, just to get going: at 0 (for these
 * instructions), at DIRECT_MAP, and the first GiB at -2 GiB. paging_init replaces all of it.
 */
#define MAGIC 0x1badb002
#define FLAGS 0x00010003 /* align modules, memory information, address fields are valid */

        .section .boot.header, "a"
        .align 4
header: .long MAGIC, FLAGS, -(MAGIC + FLAGS)
        .long header, load_start, load_end, bss_end, boot_start

        .section .boot, "awx"
        .code32
        .globl boot_start
boot_start:
        cli
        cld
        movl $boot_stack_top, %esp
        movl %eax, %ebp

        /* Four page directories of 2 MiB pages map 4 GiB. */
        movl $boot_directories, %edi
        movl $0x83, %eax
        movl $2048, %ecx
1:      movl %eax, (%edi)
        movl $0, 4(%edi)
        addl $0x200000, %eax
        addl $8, %edi
        loop 1b
        movl $boot_low, %edi            /* the four directories, in one table for both places */
        movl $boot_directories + 3, %eax
        movl $4, %ecx
1:      movl %eax, (%edi)
        addl $4096, %eax
        addl $8, %edi
        loop 1b
        movl $boot_directories + 3, boot_high + 510 * 8
        movl $boot_low + 3, boot_top
        movl $boot_low + 3, boot_top + 256 * 8
        movl $boot_high + 3, boot_top + 511 * 8

        movl $boot_top, %eax
        movl %eax, %cr3
        movl %cr4, %eax
        orl $0x20, %eax                 /* PAE */
        movl %eax, %cr4
        movl $0xc0000080, %ecx          /* EFER: LME, SCE, NXE */
        rdmsr
        orl $0x901, %eax
        wrmsr
        movl %cr0, %eax
        orl $0x80010001, %eax           /* PG, WP, PE */
        movl %eax, %cr0
        lgdt boot_gdt_pointer
        ljmp $8, $1f

        .code64
1:      xorl %eax, %eax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movw %ax, %fs
        movw %ax, %gs
        movq $cpu_stack_top, %rsp
        movl %ebp, %edi
        movl %ebx, %esi
        movq $nucleus_main, %rax
        call *%rax
2:      cli
        hlt
        jmp 2b

        .align 8
boot_gdt:
        .quad 0, 0x00209a0000000000
boot_gdt_pointer:
        .word 15
        .long boot_gdt
        .align 4096
boot_top:         .skip 4096
boot_low:         .skip 4096
boot_high:        .skip 4096
boot_directories: .skip 4 * 4096
        .skip 1024
boot_stack_top:

        .section .bss
        .align 4096
        .globl cpu_stack_top
        .skip 32768
cpu_stack_top:
