/* Prints, as "name value" lines, what nccl.h says about every constant that src/Native/Nccl states by hand.
   tests/Native.Tests compiles and runs it with cc where the headers are installed, and compares. Needs no library and no device. */
#include <nccl.h>
#include <stdio.h>

#define VALUE(name) printf(#name " %lld\n", (long long)(name))

int main(void) {
    VALUE(ncclSuccess); VALUE(ncclInProgress); VALUE(ncclUint8);
    return 0;
}
