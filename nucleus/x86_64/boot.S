/*
 * From the boot loader to nucleus_main. One way in: Multiboot 1 (QEMU -kernel, GRUB `multiboot`), in 32-bit
 * protected mode with eax = 0x2badb002 and ebx = the information structure. The a.out fields of the header
 * make loaders take this ELF64 file as it is.
 *
 * A processor without long mode or no-execute is told so here, on the serial line and the
 * screen; cpu_init looks for the rest.
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
        movl %ebx, %edi

        movw $0x3fb, %dx                /* the serial line: 115200 baud, 8N1 */
        movb $0x80, %al
        outb %al, %dx
        movw $0x3f8, %dx
        movb $1, %al
        outb %al, %dx
        incw %dx
        movb $0, %al
        outb %al, %dx
        movw $0x3fb, %dx
        movb $3, %al
        outb %al, %dx

        movl $no_long_mode, %esi
        pushfl
        popl %eax
        movl %eax, %ecx
        xorl $0x200000, %eax            /* who can change this flag has CPUID */
        pushl %eax
        popfl
        pushfl
        popl %eax
        xorl %ecx, %eax
        testl $0x200000, %eax
        jz lacking
        movl $0x80000000, %eax
        cpuid
        cmpl $0x80000001, %eax
        jb lacking
        movl $0x80000001, %eax
        cpuid
        btl $29, %edx
        jnc lacking
        movl $no_execute, %esi
        btl $20, %edx
        jnc lacking
        movl %edi, %ebx

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
        ljmp $8, $in_long_mode

lacking: /* esi: what */
        movl $0xb8000, %edi             /* two lines of the screen, white on red */
        movl $160, %ecx
        movl $0x4f20, %eax
        rep stosw
        movl $0xb8000, %ecx
        movl $lacking_words, %edi
1:      movb (%edi), %al
        incl %edi
        testb %al, %al
        jnz 2f
        movl %esi, %edi                 /* then what it is, then the end */
        xorl %esi, %esi
        testl %edi, %edi
        jnz 1b
3:      hlt
        jmp 3b
2:      outb %al, $0xe9
        movb %al, %ah
        movw $0x3fd, %dx
4:      inb %dx, %al
        testb $0x20, %al
        jz 4b
        movw $0x3f8, %dx
        movb %ah, %al
        outb %al, %dx
        cmpb $' ', %al
        jb 1b
        movb $0x4f, %ah
        movw %ax, (%ecx)
        addl $2, %ecx
        jmp 1b
lacking_words:
        .asciz "\r\nBailiwick cannot run here: the processor lacks "
no_long_mode:
        .asciz "long mode (it is not an x86-64)\r\n"
no_execute:
        .asciz "no-execute pages (NX), or they are switched off\r\n"

        .code64
in_long_mode:
        xorl %eax, %eax
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
