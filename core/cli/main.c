#include "cli/cli.h"

int main(int argc, char **argv)
{
	return pfw_main(argc, argv);
}
