// The same program, read by a C++ compiler.
#include "header.c"
