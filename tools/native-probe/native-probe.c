/* Prints, as "name value" lines, what the C headers say about every struct and constant that src/Native states by hand.
   tests/Native.Tests compiles and runs it with cc and compares. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE(name) printf(#name " %lld\n", (long long)(name))
#define FIELD(type, field) printf(#type "." #field " %zu\n", offsetof(struct type, field))

int main(void) {
    printf("statx %zu\n", sizeof(struct statx));
    FIELD(statx, stx_uid);
    FIELD(statx, stx_mode);
    FIELD(statx, stx_ino);
    FIELD(statx, stx_size);
    FIELD(statx, stx_blocks);
    FIELD(statx, stx_mtime.tv_sec);
    FIELD(statx, stx_mtime.tv_nsec);
    FIELD(statx, stx_dev_major);
    FIELD(statx, stx_dev_minor);
    VALUE(STATX_BASIC_STATS);
    VALUE(sizeof(off_t));
    printf("file_clone_range %zu\n", sizeof(struct file_clone_range));
    FIELD(file_clone_range, src_fd);
    FIELD(file_clone_range, src_offset);
    FIELD(file_clone_range, src_length);
    FIELD(file_clone_range, dest_offset);
    VALUE(FICLONERANGE);

    VALUE(O_RDONLY); VALUE(O_RDWR); VALUE(O_CREAT); VALUE(O_EXCL); VALUE(O_NONBLOCK); VALUE(O_CLOEXEC); VALUE(O_PATH); VALUE(O_DIRECTORY); VALUE(O_NOFOLLOW);
    VALUE(AT_FDCWD); VALUE(AT_SYMLINK_NOFOLLOW); VALUE(AT_SYMLINK_FOLLOW); VALUE(AT_EMPTY_PATH); VALUE(RENAME_NOREPLACE);
    VALUE(LOCK_EX); VALUE(LOCK_NB); VALUE(SEEK_DATA);
    VALUE(PROT_READ); VALUE(PROT_WRITE); VALUE(MAP_SHARED); VALUE(MAP_PRIVATE); VALUE(MAP_ANONYMOUS); VALUE(MADV_POPULATE_READ); VALUE(MADV_POPULATE_WRITE);
    printf("pollfd %zu\n", sizeof(struct pollfd));
    FIELD(pollfd, events);
    FIELD(pollfd, revents);
    VALUE(POLLIN); VALUE(EFD_CLOEXEC); VALUE(EFD_NONBLOCK); VALUE(F_GETFL); VALUE(F_SETFL);
    VALUE(SIGINT); VALUE(SIGKILL); VALUE(SIGTERM);

    VALUE(EPERM); VALUE(ENOENT); VALUE(ESRCH); VALUE(EINTR); VALUE(ENXIO); VALUE(EAGAIN); VALUE(EACCES); VALUE(EEXIST); VALUE(EXDEV); VALUE(ENOTDIR); VALUE(EISDIR);
    VALUE(EINVAL); VALUE(ENOSPC); VALUE(EROFS); VALUE(EMLINK); VALUE(ENOSYS); VALUE(ELOOP); VALUE(EOPNOTSUPP); VALUE(EDQUOT);
    VALUE(EIO); VALUE(ENODEV);
    return 0;
}
