#include "runtime/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pipefw/schedule.h>
#include <pipefw/transport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "launch/status.h"
#include "schedule/program.h"

#define FILE_MAX (1u << 30)

static const char header[] =
	"step\taction\tbegin\tstart\tend\tleft\twaited_for\tkind\n";

struct pfw_trace {
	uint64_t n, capacity, left_out;
	size_t bytes; /* of the mapping */
	int written;
	struct pfw_trace_record records[];
};

int pfw_trace_open(uint64_t n, struct pfw_trace **out, struct pfw_error *err)
{
	size_t bytes = sizeof(struct pfw_trace) +
		       n * sizeof(struct pfw_trace_record);
	struct pfw_trace *t = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
				   -1, 0);

	if (t == MAP_FAILED)
		return pfw_error_set(err, ENOMEM,
				     "no memory for a trace of %" PRIu64
				     " actions", n);
	t->capacity = n;
	t->bytes = bytes;
	*out = t;
	return 0;
}

void pfw_trace_begin(struct pfw_trace *trace, uint64_t n)
{
	if (n < trace->capacity)
		trace->capacity = n;
	memset(trace->records, 0, trace->capacity * sizeof(trace->records[0]));
}

int pfw_trace_is_due(const struct pfw_trace *trace)
{
	return trace && trace->n && !trace->written;
}

void pfw_trace_close(struct pfw_trace *trace)
{
	if (trace)
		munmap(trace, trace->bytes);
}

void pfw_trace_add(struct pfw_trace *trace,
		   const struct pfw_trace_record *record)
{
	if (trace->n < trace->capacity) {
		trace->records[trace->n] = *record;
		trace->n++;
	} else {
		trace->left_out++;
	}
}

static void print_record(FILE *f, const struct pfw_trace_record *r)
{
	char action[48];

	pfw_action_text(r->type, r->stage, r->microbatch, action,
			sizeof(action));
	fprintf(f, "%" PRIu64 "\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
		   "\t%" PRIu64 "\t",
		r->step, action, r->begin, r->start, r->end, r->left);
	if (r->peer == PFW_NONE)
		fputs("-\t-\n", f);
	else
		fprintf(f, "%u\t%s %s\n", r->peer,
			r->wait == PFW_WAIT_SLOT ? "slot" : "message",
			pfw_channel_kind_name(r->kind));
}

static int trace_path(char *path, size_t len, const char *run_dir,
		      uint32_t rank, struct pfw_error *err)
{
	char name[48];

	snprintf(name, sizeof(name), "trace/rank-%u.tsv", rank);
	return pfw_path_join(path, len, run_dir, name, err);
}

int pfw_trace_write(struct pfw_trace *trace, const char *run_dir,
		    uint32_t rank, struct pfw_error *err)
{
	char path[PATH_MAX];
	FILE *f;
	int rc = pfw_path_join(path, sizeof(path), run_dir, "trace", err);

	if (!rc && mkdir(path, 0777) && errno != EEXIST)
		rc = pfw_error_set(err, errno, "%s: cannot make this folder: %s",
				   path, strerror(errno));
	if (!rc)
		rc = trace_path(path, sizeof(path), run_dir, rank, err);
	if (rc)
		return rc;
	f = fopen(path, "we");
	if (!f)
		return pfw_error_set(err, errno, "%s: %s", path,
				     strerror(errno));
	fputs(header, f);
	for (uint64_t i = 0; i < trace->n; i++)
		print_record(f, &trace->records[i]);
	if (trace->left_out)
		fprintf(f, "# %" PRIu64 " more actions were not recorded\n",
			trace->left_out);
	rc = ferror(f);
	if (fclose(f) || rc)
		return pfw_error_set(err, EIO, "%s: cannot be written whole",
				     path);
	trace->written = 1;
	return 0;
}

/* "3F7", "NORM": back to numbers. */
static int read_action(const char *text, struct pfw_trace_record *r)
{
	static const uint32_t types[] = {
		PFW_FORWARD, PFW_BACKWARD, PFW_BACKWARD_INPUT,
		PFW_BACKWARD_WEIGHT, PFW_LOAD, PFW_TIE, PFW_NORM, PFW_OPT,
	};
	char again[48];
	uint32_t stage = PFW_NONE, mb = PFW_NONE;
	const char *word = text, *end;

	if (*word >= '0' && *word <= '9') {
		stage = (uint32_t)strtoul(text, (char **)&word, 10);
		end = word + strcspn(word, "0123456789");
		mb = (uint32_t)strtoul(end, NULL, 10);
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		pfw_action_text(types[i], stage, mb, again, sizeof(again));
		if (!strcmp(again, text)) {
			r->type = types[i];
			r->stage = stage;
			r->microbatch = mb;
			return 0;
		}
	}
	return -EINVAL;
}

static void read_wait(const char *peer, const char *wait, const char *kind,
		      struct pfw_trace_record *r)
{
	r->peer = *peer == '-' ? PFW_NONE : (uint32_t)strtoul(peer, NULL, 10);
	r->wait = !strcmp(wait, "slot") ? PFW_WAIT_SLOT : PFW_WAIT_MESSAGE;
	r->kind = !strcmp(kind, "gradient") ? PFW_CHANNEL_GRADIENT :
		  !strcmp(kind, "tie")      ? PFW_CHANNEL_TIE :
		  !strcmp(kind, "scalar")   ? PFW_CHANNEL_SCALAR :
					      PFW_CHANNEL_ACTIVATION;
}

static int read_line(const char *line, struct pfw_trace_record *r)
{
	char action[48], peer[16], wait[16] = "", kind[16] = "";

	if (sscanf(line, "%" SCNu64 "\t%47[^\t]\t%" SCNu64 "\t%" SCNu64
			 "\t%" SCNu64 "\t%" SCNu64
			 "\t%15[^\t]\t%15s %15s",
		   &r->step, action, &r->begin, &r->start, &r->end, &r->left,
		   peer, wait, kind) < 8)
		return -EINVAL;
	if (r->begin > r->start || r->start > r->end || r->end > r->left)
		return -EINVAL;
	read_wait(peer, wait, kind, r);
	return read_action(action, r);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		n++;
	}
	return n;
}

static int read_text(const char *path, char *text,
		     struct pfw_trace_record *records, size_t *n,
		     struct pfw_error *err)
{
	size_t line = 1, used = 0;
	char *next = NULL;

	if (strncmp(text, header, sizeof(header) - 1))
		return pfw_error_set(err, EINVAL,
				     "%s:1: this is no trace of pipefw", path);
	for (char *at = strchr(text, '\n') + 1; *at; at = next) {
		line++;
		next = strchr(at, '\n');
		if (!next)
			return pfw_error_set(err, EINVAL,
					     "%s:%zu: the file ends in the "
					     "middle of a line", path, line);
		*next++ = 0;
		if (*at == '#')
			continue;
		if (read_line(at, &records[used++]))
			return pfw_error_set(err, EINVAL,
					     "%s:%zu: not a line of a trace: "
					     "%.80s", path, line, at);
	}
	*n = used;
	return 0;
}

int pfw_trace_read(const char *run_dir, uint32_t rank,
		   struct pfw_trace_record **out, size_t *n,
		   struct pfw_error *err)
{
	struct pfw_trace_record *records;
	char path[PATH_MAX], *text;
	size_t len;
	int rc = trace_path(path, sizeof(path), run_dir, rank, err);

	if (!rc)
		rc = pfw_file_load(path, FILE_MAX, &text, &len, err);
	if (rc)
		return rc;
	records = calloc(count_lines(text) + 1, sizeof(*records));
	rc = records ? read_text(path, text, records, n, err) :
		       pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	free(text);
	if (rc)
		free(records);
	else
		*out = records;
	return rc;
}
