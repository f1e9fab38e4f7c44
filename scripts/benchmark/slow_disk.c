/* A slow disk under any program that is started with this in LD_PRELOAD: each sync takes so much longer.
 *
 * SYNC_DELAY_US: microseconds, slept after the real call, as a card that is still busy would keep the caller waiting.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int slowly(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *delay_us = getenv("SYNC_DELAY_US");
    long left_us = delay_us ? atol(delay_us) : 0;
    struct timespec left = {left_us / 1000000, left_us % 1000000 * 1000};
    int result = real(fd);
    int error = errno;
    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        ;
    errno = error;
    return result;
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
