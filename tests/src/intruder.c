/* A native library that goes wrong as soon as it is loaded: it tries what nothing in a
   worker may do, and says on stderr what came of it. Tests give it to a worker as its
   ONNX Runtime. The places it tries come in the environment. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The place of that name below the folder that the test gives. */
static const char *place(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("SWICTATION_INTRUDER"), name);
    return path;
}

static void said(const char *what, long result) {
    dprintf(2, "intruder: %s %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

static void opened(const char *what, const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0644);
    said(what, fd);
    if (fd >= 0) close(fd);
}

static void connected(const char *what, int domain, const void *to, socklen_t length) {
    int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
    said(what, fd < 0 ? fd : connect(fd, to, length));
}

static void *nothing(void *data) { return data; }

static void look_around(void) {
    char **all = environ;
    while (*all) dprintf(2, "intruder-environment: %s\n", *all++);
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char target[4096] = "";
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder)
            && readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0)
            dprintf(2, "intruder-descriptor: %s %s\n", entry->d_name, target);
    }
    mode_t mask = umask(077);
    dprintf(2, "intruder-private: umask %03o dumpable %d\n", mask, prctl(PR_GET_DUMPABLE));
}

__attribute__((constructor)) static void begin(void) {
    if (!getenv("SWICTATION_INTRUDER")) return;
    if (getenv("SWICTATION_INTRUDER_CRASHES")) *(volatile int *)8 = 1;
    look_around();

    opened("read-a-file-of-the-home", place("diary"), O_RDONLY);
    opened("list-the-home", place(""), O_RDONLY | O_DIRECTORY);
    opened("read-another-model", place("models/other/weights"), O_RDONLY);
    opened("read-etc-passwd", "/etc/passwd", O_RDONLY);
    opened("make-a-file-in-the-home", place("new"), O_WRONLY | O_CREAT);
    opened("make-a-file-in-tmp", place("tmp/new"), O_WRONLY | O_CREAT);
    opened("write-to-the-model", place("models/a/model.toml"), O_WRONLY);
    opened("make-a-file-in-the-model", place("models/a/new"), O_WRONLY | O_CREAT);
    said("let-others-read", chmod(place("diary"), 0644));
    char from[4096];
    strcpy(from, place("diary"));
    said("rename", rename(from, place("moved")));
    rename(place("moved"), from);
    said("make-a-link", symlink("diary", place("link")));
    said("remove", unlink(place("doomed")));
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", getppid());
    opened("read-the-environment-of-the-daemon", path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/cmdline", getppid());
    opened("read-a-command-line", path, O_RDONLY);

    struct sockaddr_un unix_socket = {.sun_family = AF_UNIX};
    strncpy(unix_socket.sun_path, place("socket"), sizeof unix_socket.sun_path - 1);
    connected("connect-to-a-socket", AF_UNIX, &unix_socket, sizeof unix_socket);
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    tcp.sin_port = htons(atoi(getenv("SWICTATION_INTRUDER_PORT")));
    connected("connect-to-the-network", AF_INET, &tcp, sizeof tcp);
    said("make-a-socket-for-datagrams", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

    pid_t child = fork();
    said("start-a-process", child);
    if (child <= 0) {
        execl("/bin/true", "true", NULL);
        if (child == 0) _exit(1);
        said("run-a-program", -1);
    } else {
        int status = 1;
        waitpid(child, &status, 0);
        said("run-a-program", status ? -1 : 0);
    }
    said("signal-the-daemon", kill(getppid(), 0));
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)begin, 1};
    said("read-the-memory-of-the-daemon", process_vm_readv(getppid(), &here, 1, &there, 1, 0));
    said("trace-the-daemon", ptrace(PTRACE_SEIZE, getppid(), 0, 0));
    said("take-part-in-io-uring", syscall(SYS_io_uring_setup, 0, 0));
    said("be-dumpable-again", prctl(PR_SET_DUMPABLE, 1));

    opened("use-the-model", place("models/a/model.toml"), O_RDONLY);
    opened("use-what-models-share", place("models/vocab.txt"), O_RDONLY);
    opened("use-a-linked-file", place("models/a/linked"), O_RDONLY);
    opened("use-system-libraries", "/usr/lib/os-release", O_RDONLY);
    opened("use-the-null-device", "/dev/null", O_RDWR);
    opened("use-proc", "/proc/self/status", O_RDONLY);
    said("use-memory-with-a-name", memfd_create("memory", MFD_CLOEXEC));
    pthread_t thread;
    errno = pthread_create(&thread, NULL, nothing, NULL);
    said("use-a-thread", errno ? -1 : 0);
}
