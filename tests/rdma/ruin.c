/* Preloaded: on SIGRTMIN + 2 every queue pair of the process is forced to fail. */
#include <infiniband/verbs.h>

#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>

#define MAX_QPS 1024u

static struct ibv_qp *qps[MAX_QPS];
static unsigned n_qps;
static int (*modify)(struct ibv_qp *, struct ibv_qp_attr *, int);

static void ruin(int signal)
{
	struct ibv_qp_attr error = { .qp_state = IBV_QPS_ERR };

	(void)signal;
	for (unsigned i = 0; i < n_qps; i++)
		modify(qps[i], &error, IBV_QP_STATE);
}

__attribute__((visibility("default"))) int
ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	if (!modify) {
		/* Loaded by the plugin, for itself alone. */
		*(void **)&modify = dlsym(dlopen("libibverbs.so.1", RTLD_NOW),
					  "ibv_modify_qp");
		signal(SIGRTMIN + 2, ruin);
	}
	if (attr->qp_state == IBV_QPS_RTS && n_qps < MAX_QPS)
		qps[n_qps++] = qp;
	return modify(qp, attr, mask);
}
