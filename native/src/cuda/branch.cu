#include "cuda/branch.h"

#include <map>
#include <mutex>
#include <new>
#include <utility>

namespace prunepeft::cuda {
namespace {
/** By device and stream. Never destroyed: a thread may make a call while the process ends. */
struct Places {
  std::mutex mutex;
  std::map<std::pair<int32_t, void*>, Branch::Place> of;
};
Places& places = *new Places;

/** What cannot be freed is left. */
void free_place(const Branch::Place& place) {
  bool freed = place.joined == nullptr || cudaEventDestroy(place.joined) == cudaSuccess;
  freed = (place.forked == nullptr || cudaEventDestroy(place.forked) == cudaSuccess) && freed;
  freed = (place.stream == nullptr || cudaStreamDestroy(place.stream) == cudaSuccess) && freed;
  if (!freed) cudaGetLastError();  // not to be met by a later call
}

cudaError_t make_place(Branch::Place* place) {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;  // for a capture, of which this is no part
  cudaError_t error = cudaThreadExchangeStreamCaptureMode(&mode);
  if (error != cudaSuccess) return error;
  error = cudaStreamCreateWithFlags(&place->stream, cudaStreamNonBlocking);
  for (cudaEvent_t* event : {&place->forked, &place->joined})
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(event, cudaEventDisableTiming);
  if (error != cudaSuccess) free_place(*place);
  const cudaError_t restored = cudaThreadExchangeStreamCaptureMode(&mode);
  if (error == cudaSuccess && restored != cudaSuccess) free_place(*place);
  return error == cudaSuccess ? restored : error;
}

cudaError_t find_place(const pp_device& device, Branch::Place* place) {
  const std::lock_guard<std::mutex> lock(places.mutex);
  try {
    Branch::Place& found = places.of[{device.index, device.stream}];
    cudaError_t error = cudaSuccess;
    if (found.stream == nullptr) {
      Branch::Place made = {};
      error = make_place(&made);
      if (error == cudaSuccess) found = made;
    }
    *place = found;
    return error;
  } catch (const std::bad_alloc&) {
    return cudaErrorMemoryAllocation;
  }
}
}  // namespace

Branch::Branch(const pp_device& device) : main_(stream_of(device)), status_(find_place(device, &of_)) {
  if (status_ == cudaSuccess) status_ = cudaEventRecord(of_.forked, main_);
  if (status_ == cudaSuccess) status_ = cudaStreamWaitEvent(of_.stream, of_.forked, 0);
}

cudaError_t Branch::prepare(const pp_device& device) {
  Place place;
  return find_place(device, &place);
}

cudaError_t Branch::join() {
  const cudaError_t error = cudaEventRecord(of_.joined, of_.stream);
  return error == cudaSuccess ? cudaStreamWaitEvent(main_, of_.joined, 0) : error;
}

void free_branch(const pp_device& device) {
  const std::lock_guard<std::mutex> lock(places.mutex);
  const auto found = places.of.find({device.index, device.stream});
  if (found == places.of.end()) return;
  const Branch::Place place = found->second;
  places.of.erase(found);
  free_place(place);
}
}  // namespace prunepeft::cuda
