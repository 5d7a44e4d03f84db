/* Groups of operations of the stand-in for libnccl: see fake_nccl.h. */
#include "nccl/fake_nccl.h"

#include "nccl/fake_impl.h"

#define MOST_OPERATIONS 256u

/* nccl.h has them without prototypes. */
ncclResult_t ncclGroupStart(void);
ncclResult_t ncclGroupEnd(void);

static _Thread_local struct {
	unsigned depth, n;
	struct ncclComm *members;
} group;

int fake_nccl_in_group(void)
{
	return group.depth != 0;
}

int fake_nccl_group_add(struct ncclComm *c)
{
	if (!group.depth)
		return 0;
	if (++group.n > MOST_OPERATIONS)
		fake_nccl_broken("more than %u operations in a group: its parts "
				 "may be launched otherwise at the other end, "
				 "and NCCL would hang", MOST_OPERATIONS);
	if (!c->grouped) {
		c->grouped = 1;
		c->next = group.members;
		group.members = c;
	}
	return 1;
}

ncclResult_t ncclGroupStart(void)
{
	ncclResult_t rc = fake_nccl_enter("ncclGroupStart");

	group.depth += !rc;
	return rc;
}

ncclResult_t ncclGroupEnd(void)
{
	ncclResult_t rc = fake_nccl_enter("ncclGroupEnd");

	if (!group.depth)
		fake_nccl_broken("ncclGroupEnd without ncclGroupStart");
	if (--group.depth || rc)
		return rc;
	while (group.members) {
		struct ncclComm *c = group.members;

		group.members = c->next;
		c->grouped = 0;
		c->looks = FAKE_NCCL_LOOKS;
	}
	rc = group.n ? ncclInProgress : ncclSuccess;
	group.n = 0;
	return rc;
}
