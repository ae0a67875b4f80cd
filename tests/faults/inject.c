/* Faults at the n-th file operation: preloaded, and armed by `fault_arm` in the process that is to fail.
 *
 * Operations on files under one folder are counted: opening, reading, writing, flushing, cutting, renaming, linking and
 * deleting. At the n-th the process is killed or interrupted, or the call fails with an error, once or from then on, or
 * two folders exchange their names before it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 4096
#define EXCHANGE -1
#define INTERRUPT -2
static char under[4096], one[4096], other[4096];
static volatile long count = 0, at = -1;
static int kind = 0, lasting = 0, is_armed = 0, reads_count = 0;
static unsigned char ours[FILES];

/* error: 0 kills, INTERRUPT is Ctrl-C, otherwise an errno; n = -1 counts only. */
void fault_arm(const char *folder, long n, int error, int from_then_on, int with_reads) {
    strncpy(under, folder, sizeof under - 1);
    count = 0, at = n, kind = error, lasting = from_then_on, reads_count = with_reads, is_armed = 1;
}

/* Before the n-th operation two names are exchanged, as another process could do it. */
void fault_exchange(const char *folder, long n, const char *name, const char *for_name) {
    strncpy(one, name, sizeof one - 1);
    strncpy(other, for_name, sizeof other - 1);
    fault_arm(folder, n, EXCHANGE, 0, 1);
}

long fault_count(void) { return count; }

static int is_under(int dir, const char *path) {
    char at_dir[4096], link[64];
    if (!is_armed || !path) return 0;
    if (strncmp(path, "/proc/self/fd/", 14) == 0) dir = atoi(path + 14);
    else if (path[0] == '/') return strncmp(path, under, strlen(under)) == 0;
    if (dir == AT_FDCWD) return getcwd(at_dir, sizeof at_dir) && strncmp(at_dir, under, strlen(under)) == 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t length = readlink(link, at_dir, sizeof at_dir - 1);
    if (length < 0) return 0;
    at_dir[length] = 0;
    return strncmp(at_dir, under, strlen(under)) == 0;
}

/* Whether this operation is to fail; errno is set. */
static int fails(void) {
    long now = __sync_add_and_fetch(&count, 1);
    if (at < 0 || (lasting ? now < at : now != at)) return 0;
    if (kind == 0) kill(getpid(), SIGKILL);
    if (kind == EXCHANGE) {
        syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
        return 0;
    }
    if (kind == INTERRUPT) {
        kill(getpid(), SIGINT);
        return 0;
    }
    errno = kind;
    return 1;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define HELD(fd) (is_armed && (fd) >= 0 && (fd) < FILES && ours[fd])

static int opened(int fd, int is_ours) {
    if (fd >= 0 && fd < FILES) ours[fd] = (unsigned char)is_ours;
    return fd;
}

int close(int fd) {
    REAL(close);
    opened(fd, 0);
    return real(fd);
}

#define OPEN(name)                                                       \
    int name(const char *path, int flags, ...) {                         \
        REAL(name);                                                      \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        int held = is_under(AT_FDCWD, path);                             \
        if (held && fails()) return -1;                                  \
        return opened(real(path, flags, mode), held);                    \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                     \
    int name(int dir, const char *path, int flags, ...) {                \
        REAL(name);                                                      \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        int held = is_under(dir, path);                                  \
        if (held && fails()) return -1;                                  \
        return opened(real(dir, path, flags, mode), held);               \
    }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name)                                                      \
    FILE *name(const char *path, const char *mode) {                     \
        REAL(name);                                                      \
        int held = is_under(AT_FDCWD, path);                             \
        if (held && fails()) return NULL;                                \
        FILE *file = real(path, mode);                                   \
        if (file) opened(fileno(file), held);                            \
        return file;                                                     \
    }
FOPEN(fopen)
FOPEN(fopen64)

size_t fwrite(const void *data, size_t size, size_t n, FILE *file) {
    REAL(fwrite);
    if (HELD(fileno(file)) && fails()) return 0;
    return real(data, size, n, file);
}
size_t fread(void *data, size_t size, size_t n, FILE *file) {
    REAL(fread);
    if (reads_count && HELD(fileno(file)) && fails()) return 0;
    return real(data, size, n, file);
}

#define ON_FD(result, name, test, declared, passed) \
    result name declared { REAL(name); if (test && HELD(fd) && fails()) return -1; return real passed; }
ON_FD(ssize_t, write, 1, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, pwrite, 1, (int fd, const void *data, size_t size, off_t place), (fd, data, size, place))
ON_FD(ssize_t, pwrite64, 1, (int fd, const void *data, size_t size, off64_t place), (fd, data, size, place))
ON_FD(ssize_t, read, reads_count, (int fd, void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, pread, reads_count, (int fd, void *data, size_t size, off_t place), (fd, data, size, place))
ON_FD(ssize_t, pread64, reads_count, (int fd, void *data, size_t size, off64_t place), (fd, data, size, place))
ON_FD(int, fsync, 1, (int fd), (fd))
ON_FD(int, fdatasync, 1, (int fd), (fd))
ON_FD(int, ftruncate, 1, (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, 1, (int fd, off64_t size), (fd, size))
ON_FD(int, fchmod, 1, (int fd, mode_t mode), (fd, mode))

#define ON_PATH(name, declared, dir, passed) \
    int name declared { REAL(name); if (is_under(dir, path) && fails()) return -1; return real passed; }
ON_PATH(rename, (const char *path, const char *to), AT_FDCWD, (path, to))
ON_PATH(renameat, (int dir, const char *path, int other, const char *to), dir, (dir, path, other, to))
ON_PATH(unlink, (const char *path), AT_FDCWD, (path))
ON_PATH(unlinkat, (int dir, const char *path, int flags), dir, (dir, path, flags))
ON_PATH(rmdir, (const char *path), AT_FDCWD, (path))
ON_PATH(mkdir, (const char *path, mode_t mode), AT_FDCWD, (path, mode))
ON_PATH(link, (const char *path, const char *to), AT_FDCWD, (path, to))
ON_PATH(linkat, (int dir, const char *path, int other, const char *to, int flags), dir, (dir, path, other, to, flags))
ON_PATH(chmod, (const char *path, mode_t mode), AT_FDCWD, (path, mode))
