package org.prunepeft.files;

import static org.prunepeft.protobuf.MessageFields.message;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.zip.CRC32C;
import org.prunepeft.io.AtomicFile;

/**
 * A file of scalars and texts for TensorBoard: records of TensorFlow's TFRecord format, each an
 * {@code Event} message.
 *
 * <p>A record is, little-endian: the length of its data (8 bytes), the masked CRC-32C of these 8
 * bytes (4), the data, the masked CRC-32C of the data (4). A checksum is masked by turning its bits
 * 15 places to the right and adding 0xa282ead8. Of the messages' fields these are written:
 *
 * <pre>
 *   Event         1 wall_time (double, seconds)   2 step (int64)   3 file_version   5 summary
 *   Summary       1 value (repeated)
 *   Summary.Value 1 tag   2 simple_value (float)   8 tensor   9 metadata
 *   TensorProto   1 dtype (7: string)   2 tensor_shape (empty: a scalar)   8 string_val
 *   SummaryMetadata 1 plugin_data: 1 plugin_name
 * </pre>
 *
 * <p>Each event is handed to the operating system at once. Not for two threads at once.
 */
public final class EventFile implements AutoCloseable {
  private static final String VERSION = "brain.Event:2";

  /** TensorFlow's DT_STRING. */
  private static final int STRING = 7;

  private static final int LENGTH_BYTES = Long.BYTES + Integer.BYTES;

  private final Path file;
  private boolean closed;

  private EventFile(Path file) {
    this.file = file;
  }

  /**
   * Makes a file. TensorBoard finds it if its name holds {@code tfevents}.
   *
   * @param file absent
   * @param seconds the time now, since 1970
   * @return to be closed by the caller
   * @throws IOException if it can't be made, or is there already; what was begun is removed
   */
  public static EventFile create(Path file, double seconds) throws IOException {
    if (file.getParent() != null) {
      Files.createDirectories(file.getParent());
    }
    Files.createFile(file);
    EventFile events = new EventFile(file);
    try {
      events.write(
          message(
              out -> {
                out.writeDouble(1, seconds);
                out.writeString(3, VERSION);
              }));
      return events;
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }

  /**
   * Appends the values of a step.
   *
   * @param seconds the time now, since 1970
   * @param step 0 or more
   * @param values by tag; kept as float32
   * @throws IOException if writing fails; the file then ends with the event before, if possible
   */
  public void scalars(double seconds, long step, Map<String, Double> values) throws IOException {
    byte[] summary =
        message(
            out -> {
              for (Map.Entry<String, Double> entry : values.entrySet()) {
                out.writeByteArray(
                    1,
                    message(
                        value -> {
                          value.writeString(1, entry.getKey());
                          value.writeFloat(2, entry.getValue().floatValue());
                        }));
              }
            });
    write(
        message(
            out -> {
              out.writeDouble(1, seconds);
              out.writeInt64(2, step);
              out.writeByteArray(5, summary);
            }));
  }

  /**
   * Appends a text in Markdown.
   *
   * @param seconds the time now, since 1970
   * @throws IOException as {@link #scalars} does
   */
  public void text(double seconds, String tag, String text) throws IOException {
    byte[] plugin = message(out -> out.writeString(1, "text"));
    byte[] metadata = message(out -> out.writeByteArray(1, plugin));
    byte[] tensor =
        message(
            out -> {
              out.writeEnum(1, STRING);
              out.writeByteArray(2, new byte[0]);
              out.writeByteArray(8, text.getBytes(StandardCharsets.UTF_8));
            });
    byte[] value =
        message(
            out -> {
              out.writeString(1, tag);
              out.writeByteArray(8, tensor);
              out.writeByteArray(9, metadata);
            });
    byte[] summary = message(out -> out.writeByteArray(1, value));
    write(
        message(
            out -> {
              out.writeDouble(1, seconds);
              out.writeByteArray(5, summary);
            }));
  }

  private void write(byte[] data) throws IOException {
    ByteBuffer record =
        ByteBuffer.allocate(LENGTH_BYTES + data.length + Integer.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    record.putLong(data.length);
    record.putInt(masked(record.array(), Long.BYTES));
    record.put(data);
    record.putInt(masked(data, data.length));
    if (closed) {
      throw new ClosedChannelException();
    }
    AtomicFile.append(file, record.array());
  }

  private static int masked(byte[] data, int length) {
    CRC32C checksum = new CRC32C();
    checksum.update(data, 0, length);
    return Integer.rotateRight((int) checksum.getValue(), 15) + 0xa282ead8;
  }

  @Override
  public void close() {
    closed = true;
  }
}
