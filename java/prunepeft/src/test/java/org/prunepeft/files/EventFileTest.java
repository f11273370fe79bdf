package org.prunepeft.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.CodedInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {
  /** An event as it is read back. */
  record Event(double seconds, long step, String version, Map<String, Float> scalars) {}

  /** Reads a file by the formats' definitions, and checks every checksum. */
  static List<Event> read(Path file) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    List<Event> events = new ArrayList<>();
    while (bytes.hasRemaining()) {
      byte[] length = new byte[8];
      bytes.get(length);
      assertEquals(unmasked(bytes.getInt()), crc32c(length), "length of event " + events.size());
      byte[] data =
          new byte[(int) ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getLong()];
      bytes.get(data);
      assertEquals(unmasked(bytes.getInt()), crc32c(data), "data of event " + events.size());
      events.add(event(CodedInputStream.newInstance(data)));
    }
    return events;
  }

  @Test
  void anInterruptedThreadWritesEvents(@TempDir Path temporary) throws IOException {
    Path file = temporary.resolve("tfevents");
    Thread.currentThread().interrupt();
    try (EventFile events = EventFile.create(file, 1)) {
      events.scalars(2, 1, Map.of("loss", 0.5));
      events.scalars(3, 2, Map.of("loss", 0.25));
    }
    assertTrue(Thread.interrupted());
    assertEquals(3, read(file).size());
  }

  private static int unmasked(int masked) {
    return Integer.rotateLeft(masked - 0xa282ead8, 15);
  }

  /** Bit by bit, Castagnoli's polynomial reflected. */
  private static int crc32c(byte[] data) {
    int crc = ~0;
    for (byte value : data) {
      crc ^= value & 0xff;
      for (int bit = 0; bit < 8; bit++) {
        crc = (crc >>> 1) ^ ((crc & 1) == 0 ? 0 : 0x82f63b78);
      }
    }
    return ~crc;
  }

  private static Event event(CodedInputStream in) throws IOException {
    double seconds = 0;
    long step = 0;
    String version = null;
    Map<String, Float> scalars = new LinkedHashMap<>();
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      switch (tag >>> 3) {
        case 1 -> seconds = in.readDouble();
        case 2 -> step = in.readInt64();
        case 3 -> version = in.readString();
        case 5 -> {
          CodedInputStream summary = CodedInputStream.newInstance(in.readByteArray());
          while (summary.readTag() == (1 << 3 | 2)) {
            CodedInputStream value = CodedInputStream.newInstance(summary.readByteArray());
            assertEquals(1 << 3 | 2, value.readTag());
            String name = value.readString();
            assertEquals(2 << 3 | 5, value.readTag());
            scalars.put(name, value.readFloat());
          }
        }
        default -> throw new AssertionError("field " + (tag >>> 3));
      }
    }
    return new Event(seconds, step, version, scalars);
  }

  @Test
  void checksumsOfThisTestAreCastagnolis() {
    // RFC 3720, B.4.
    assertEquals(0x8a9136aa, crc32c(new byte[32]));
    assertEquals(0xe3069283, crc32c("123456789".getBytes(StandardCharsets.US_ASCII)));
  }

  @Test
  void eventsAreReadBackAsTheyWereWritten(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("logs").resolve("events.out.tfevents.1");
    Map<String, Double> second = new LinkedHashMap<>();
    second.put("train/loss", -0.1);
    second.put("train/µ", Double.NaN);
    try (EventFile events = EventFile.create(file, 12.5)) {
      events.scalars(13, 0, Map.of("a", 1.5));
      events.scalars(14.25, 300_000_000_000L, second);
    }
    Map<String, Float> floats = new LinkedHashMap<>();
    floats.put("train/loss", -0.1f);
    floats.put("train/µ", Float.NaN);
    assertEquals(
        List.of(
            new Event(12.5, 0, "brain.Event:2", Map.of()),
            new Event(13, 0, null, Map.of("a", 1.5f)),
            new Event(14.25, 300_000_000_000L, null, floats)),
        read(file));
    assertThrows(FileAlreadyExistsException.class, () -> EventFile.create(file, 1));
  }

  @Test
  void aTextIsATensorOfOneStringForThePluginOfTexts(@TempDir Path directory) throws IOException {
    Path file = directory.resolve("tfevents");
    try (EventFile events = EventFile.create(file, 1)) {
      long before = Files.size(file);
      events.text(2, "settings", "| a | \u00fc |");
      byte[] all = Files.readAllBytes(file);
      byte[] data = java.util.Arrays.copyOfRange(all, (int) before + 12, all.length - 4);
      CodedInputStream event = CodedInputStream.newInstance(data);
      assertEquals(1 << 3 | 1, event.readTag());
      assertEquals(2, event.readDouble());
      assertEquals(5 << 3 | 2, event.readTag());
      CodedInputStream summary = CodedInputStream.newInstance(event.readByteArray());
      assertEquals(1 << 3 | 2, summary.readTag());
      CodedInputStream value = CodedInputStream.newInstance(summary.readByteArray());
      assertEquals(1 << 3 | 2, value.readTag());
      assertEquals("settings", value.readString());
      assertEquals(8 << 3 | 2, value.readTag());
      CodedInputStream tensor = CodedInputStream.newInstance(value.readByteArray());
      assertEquals(1 << 3, tensor.readTag());
      assertEquals(7, tensor.readEnum());
      assertEquals(2 << 3 | 2, tensor.readTag());
      assertEquals(0, tensor.readByteArray().length);
      assertEquals(8 << 3 | 2, tensor.readTag());
      assertEquals("| a | \u00fc |", tensor.readString());
      assertEquals(9 << 3 | 2, value.readTag());
      CodedInputStream metadata = CodedInputStream.newInstance(value.readByteArray());
      assertEquals(1 << 3 | 2, metadata.readTag());
      CodedInputStream plugin = CodedInputStream.newInstance(metadata.readByteArray());
      assertEquals(1 << 3 | 2, plugin.readTag());
      assertEquals("text", plugin.readString());
    }
  }
}
