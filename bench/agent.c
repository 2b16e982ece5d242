/*
 * The smallest agent that can be supervised: it says when it began, then beats or sleeps.
 *
 * Its first act is to send its own CLOCK_MONOTONIC in a datagram, so that what is measured is the
 * supervisor with one fork and exec, and no interpreter's start.
 *
 *   agent [socket name [seconds between beats]]
 *
 * Without both (runit gives none, s6 one of its own) the socket is $BENCH_SOCKET and the name that of the
 * current directory. Each datagram is "<word> <name> <nanoseconds>": "began" at the start, "beat"
 * with the instant of the last beat when SIGUSR1 tells it to hang, "told" when SIGTERM arrives.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un where;
static const char *name;
static volatile sig_atomic_t hang, term;

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void say(const char *word, long long when)
{
	char text[256];
	int size = snprintf(text, sizeof text, "%s %s %lld", word, name, when);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	while (sendto(fd, text, size, 0, (struct sockaddr *)&where, sizeof where) < 0 && errno == EINTR)
		;
	close(fd);
}

static void on_signal(int number)
{
	if (number == SIGUSR1)
		hang = 1;
	else
		term = 1;
}

/* Write and rename, as the contract asks for; the new file is the beat. */
static long long beat(const char *file, const char *temporary, const char *generation, long cycle)
{
	struct timespec wall;
	char text[256];
	int fd, size;

	clock_gettime(CLOCK_REALTIME, &wall);
	size = snprintf(text, sizeof text,
			"{\"timestamp\": %lld.%03ld, \"cycle\": %ld, \"status\": \"working\", "
			"\"generation\": %s}\n",
			(long long)wall.tv_sec, wall.tv_nsec / 1000000, cycle, generation);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, size) != size || close(fd) < 0 || rename(temporary, file) < 0)
		_exit(1);
	return now_ns();
}

/* Sleep until an instant; signals that we were sent meanwhile end the sleep. */
static void sleep_until(long long when)
{
	struct timespec t = { when / 1000000000LL, when % 1000000000LL };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void work(double every)
{
	const char *file = getenv("LAZARUS_HEARTBEAT_FILE"), *life = getenv("LAZARUS_GENERATION");
	struct sigaction act = { .sa_handler = on_signal };
	long long began = now_ns(), last, step = (long long)(every * 1e9);
	char temporary[4096];
	long cycle = 0;

	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (!file || !life)
		_exit(1);
	snprintf(temporary, sizeof temporary, "%s.new", file);
	last = beat(file, temporary, life, cycle++);
	/* Agents do not beat in step: each has an offset of its own within the period. */
	began += (now_ns() ^ getpid() * 7919LL) % step - step;
	while (!hang && !term) {
		while (began <= last)
			began += step;
		sleep_until(began);
		if (!hang && !term && now_ns() >= began)
			last = beat(file, temporary, life, cycle++);
	}
	if (hang)
		say("beat", last);
	while (!term)
		pause();
	say("told", now_ns());
	_exit(0);
}

int main(int argc, char **argv)
{
	long long began = now_ns();
	const char *path = argc > 2 ? argv[1] : getenv("BENCH_SOCKET");
	const char *fd = getenv("BENCH_READY_FD");
	static char here[4096];

	name = argc > 2 ? argv[2] : basename(getcwd(here, sizeof here));
	where.sun_family = AF_UNIX;
	strncpy(where.sun_path, path ? path : "", sizeof where.sun_path - 1);
	say("began", began);
	if (fd) { /* s6 restarts at once only what has said that it is ready */
		if (write(atoi(fd), "\n", 1) != 1)
			_exit(1);
		close(atoi(fd));
	}
	if (argc > 3)
		work(atof(argv[3]));
	for (;;)
		pause();
}
