# PFW_VERBS: --with-verbs=auto|yes|no. Sets have_verbs, VERBS_LIBS and the
# conditional HAVE_VERBS; the verbs transport is built with it.
AC_DEFUN([PFW_VERBS], [
PFW_LOOK_FOR([verbs], [infiniband/verbs.h], [libibverbs 34 or newer])
AS_IF([test $have_verbs = yes], [
	AC_CHECK_LIB([ibverbs], [ibv_reg_dmabuf_mr],
		[VERBS_LIBS=-libverbs], [have_verbs=no])
	AS_IF([test "$with_verbs$have_verbs" = yesno], [AC_MSG_ERROR([
--with-verbs=yes, but libibverbs does not link or is older than 34])])])
AC_SUBST([VERBS_LIBS])
AM_CONDITIONAL([HAVE_VERBS], [test $have_verbs = yes])
])
