package org.prunepeft.protobuf;

import com.google.protobuf.CodedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;

/** Fields of a protobuf message, by what writes them. */
@FunctionalInterface
public interface MessageFields {
  /** Writes them, each with its number. */
  void writeTo(CodedOutputStream out) throws IOException;

  /** {@return the message that has these fields, without its length} */
  static byte[] message(MessageFields fields) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    try {
      fields.writeTo(out);
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory does not fail
    }
    return bytes.toByteArray();
  }
}
