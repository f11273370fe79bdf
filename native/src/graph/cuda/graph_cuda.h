// The functions of prunepeft/graph.h with these names, for arguments that have been checked.
#pragma once

#include "prunepeft/graph.h"

namespace prunepeft::cuda {
pp_status stream_create(const pp_device& device, void** stream);
pp_status stream_destroy(const pp_device& device);
pp_status graph_begin(const pp_device& device);
pp_status graph_end(const pp_device& device, pp_graph** graph);
pp_status graph_launch(const pp_device& device, const pp_graph& graph);
void graph_destroy(pp_graph* graph);
}  // namespace prunepeft::cuda
