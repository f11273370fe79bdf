prunepeft_family(
  src/core
  ENTRY amx.cpp arguments.cpp call.cpp device.cpp dropout.cpp handles.cpp isa.cpp memory.cpp status.cpp threads.cpp workspace.cpp)
