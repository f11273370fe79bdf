// A program on an emulated device that ends in the midst of a case, in the way of its argument: what it has said by then,
// Crashes.cmake looks at.
#include <string>

#include "device_test.h"

using namespace device_test;

int main(int count, char** arguments) {
  const std::string way = count > 1 ? arguments[1] : "";
  run_case("a case of its own", [&]() -> std::vector<unsigned char> {
    report("1 + 1 is not 3");
    static volatile int* volatile nowhere = nullptr;
    if (way == "a_null_pointer") *nowhere = 1;
    if (way == "an_abort") abort();
    if (way == "an_exit") exit(3);
    if (way == "an_error_of_the_device") check_cuda(cudaErrorMemoryAllocation);
    return {};
  });
  return finish();
}
