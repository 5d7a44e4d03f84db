/* Words for the numbers of the public headers. */
#include <pipefw/schedule.h>
#include <pipefw/transport.h>

size_t pfw_dtype_bytes(uint32_t dtype)
{
	switch (dtype) {
	case PFW_F32:
	case PFW_I32:
		return 4;
	case PFW_BF16:
		return 2;
	}
	return 0;
}

const char *pfw_dtype_name(uint32_t dtype)
{
	static const char *const names[] = { "fp32", "bf16", "int32" };

	return dtype < sizeof(names) / sizeof(names[0]) ? names[dtype] : NULL;
}

const char *pfw_action_name(uint32_t type)
{
	switch (type) {
	case PFW_FORWARD:
		return "F";
	case PFW_BACKWARD:
		return "B";
	case PFW_BACKWARD_INPUT:
		return "I";
	case PFW_BACKWARD_WEIGHT:
		return "W";
	case PFW_SEND:
		return "SEND";
	case PFW_RECV:
		return "RECV";
	case PFW_LOAD:
		return "LOAD";
	case PFW_TIE:
		return "TIE";
	case PFW_NORM:
		return "NORM";
	case PFW_OPT:
		return "OPT";
	}
	return "?";
}

const char *pfw_channel_kind_name(uint32_t kind)
{
	static const char *const names[] = {
		"activation", "gradient", "tie", "scalar", "collective",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}
