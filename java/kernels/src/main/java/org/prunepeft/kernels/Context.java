package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.ContextStruct;
import org.prunepeft.kernels.binding.LibPrunePeft;
import org.prunepeft.kernels.binding.WorkspaceHandle;

/**
 * In which kernels run: a device with its stream, and scratch memory there, which grows to the
 * largest need of a call and is used again. Calls of a context come one after the other: it is not
 * for two threads at once. A result never depends on what the scratch memory held.
 */
public final class Context implements AutoCloseable {
  private final Device device;
  private final Arguments arguments = new Arguments();
  private final NativeObject<WorkspaceHandle> workspace;

  /**
   * Without scratch memory yet.
   *
   * @param device stays the caller's, and has to live as long as this
   */
  public Context(Device device) {
    this.device = device;
    WorkspaceHandle created = new WorkspaceHandle((Pointer) null);
    check(LibPrunePeft.pp_workspace_create(device.struct(), created));
    workspace = new NativeObject<>(this, created, LibPrunePeft::pp_workspace_destroy);
    arguments.context().device(device.struct()).workspace(created);
  }

  /** {@return whose kernels compute; what a call reads and writes lies there} */
  public Device device() {
    return device;
  }

  /** {@return bytes of scratch memory held now} */
  public long bytes() {
    return LibPrunePeft.pp_workspace_bytes(workspace.open());
  }

  ContextStruct struct() {
    workspace.open();
    return arguments.context();
  }

  /** For the call that comes. */
  Arguments arguments() {
    return arguments.clear();
  }

  /** Frees the scratch memory; work and graphs that use it must have ended. */
  @Override
  public void close() {
    workspace.close();
    arguments.close();
  }
}
