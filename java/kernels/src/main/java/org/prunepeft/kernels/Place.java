package org.prunepeft.kernels;

import org.bytedeco.javacpp.Pointer;

/**
 * Where a pointer stands, as an address at position 0. JavaCPP counts a position in elements, and
 * takes it over as it is when one typed pointer is made from another or handed on as a void
 * pointer: then it is a number of bytes, or of other elements. Keeps what it was made from, whose
 * memory may go with it.
 */
final class Place extends Pointer {
  private final Pointer from;

  Place(long address) {
    this.address = address;
    from = null;
  }

  Place(Pointer pointer, long bytes) {
    super(pointer);
    address = pointer.address() + pointer.position() * pointer.sizeof() + bytes;
    position = 0;
    limit = 0;
    capacity = 0;
    from = pointer;
  }

  /** Of a pointer; null: of null. */
  static Place of(Pointer pointer) {
    return pointer == null ? null : new Place(pointer, 0);
  }

  /** What it was made from; null: an address. */
  Pointer from() {
    return from;
  }
}
