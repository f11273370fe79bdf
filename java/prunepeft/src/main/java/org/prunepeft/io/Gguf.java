package org.prunepeft.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.io.SafeTensors.Source;
import org.prunepeft.io.SafeTensors.StoredType;

/**
 * Tensors and metadata in a file of the GGUF format, version 3 and little-endian, as llama.cpp and
 * Ollama read it.
 *
 * <table>
 *   <caption>Layout</caption>
 *   <tr><th>bytes</th><th>content</th></tr>
 *   <tr><td>4</td><td>{@code GGUF}</td></tr>
 *   <tr><td>4</td><td>version: uint32</td></tr>
 *   <tr><td>8, 8</td><td>numbers of tensors and of metadata: uint64</td></tr>
 *   <tr><td>for each metadatum</td><td>key: string; type: uint32, in the order of {@link
 *       GgufValue.Type}; value. A string is its length, uint64, and UTF-8; an array its elements'
 *       type, uint32, their number, uint64, and the elements</td></tr>
 *   <tr><td>for each tensor</td><td>name: string; number of sizes: uint32; sizes: uint64 each, that
 *       of the values next to each other first; type: uint32 (0 F32, 1 F16, 30 BF16); offset of its
 *       first byte from the data section's: uint64</td></tr>
 *   <tr><td>up to the alignment</td><td>zeros</td></tr>
 *   <tr><td>the data section</td><td>the values of each tensor in the same order, each followed by
 *       zeros up to the alignment</td></tr>
 * </table>
 *
 * <p>The alignment is the metadatum {@value #ALIGNMENT}, or else 32 bytes. {@link #shape} is in
 * PyTorch's order, the reverse of the file's.
 *
 * <p>An open file can be read from several threads at once.
 */
public final class Gguf extends TensorFile {
  /** The metadatum that gives the alignment, a UINT32. */
  public static final String ALIGNMENT = "general.alignment";

  private final Map<String, GgufValue> metadata;

  private Gguf(Path file, FileChannel channel, GgufHeader header) {
    super(file, channel, header.dataStart(), header.entries);
    metadata = Collections.unmodifiableMap(header.metadata);
  }

  /**
   * Writes all tensors of a checkpoint as float32, in the order of their names, as {@link
   * #write(Path, Map, Map)} does.
   *
   * @param tensors read one by one; not closed
   */
  public static void write(Path file, Map<String, GgufValue> metadata, Checkpoint tensors)
      throws IOException {
    var sources = new TreeMap<String, Source>();
    tensors
        .names()
        .forEach(name -> sources.put(name, SafeTensors.rounded(tensors, name, StoredType.F32)));
    write(file, metadata, sources);
  }

  /**
   * Writes tensors. No more than a part of one is in memory at a time. The file appears under its
   * name only as a whole; one that was there before is replaced.
   *
   * @param file where to
   * @param metadata by key, in the order in which they shall be
   * @param tensors of type F32, F16 or BF16, with at most 4 sizes, by name, which has at most 63
   *     bytes; in the order in which they shall be
   * @throws IllegalArgumentException if a tensor has another type, more sizes or a longer name, or
   *     the alignment is no power of two up to a megabyte
   * @throws IOException if reading or writing fails; a file that was there before is then as it was
   */
  public static void write(
      Path file, Map<String, GgufValue> metadata, Map<String, ? extends Source> tensors)
      throws IOException {
    GgufHeader header = GgufHeader.of(metadata, tensors);
    byte[] start = header.bytes();
    AtomicFile.write(
        file,
        channel -> {
          var buffer = ByteBuffer.allocateDirect(BUFFER).order(ByteOrder.LITTLE_ENDIAN);
          AtomicFile.writeFully(channel, ByteBuffer.wrap(start));
          for (var tensor : tensors.entrySet()) {
            long bytes = header.entries.get(tensor.getKey()).bytes();
            copy(tensor.getValue(), bytes, buffer, channel);
            AtomicFile.writeFully(
                channel, ByteBuffer.allocate((int) (header.padded(bytes) - bytes)));
          }
        });
  }

  /**
   * Opens a file and checks its header; values are read later, each by its position. A header that
   * disagrees with the file is refused before anything of the size it claims is allocated.
   *
   * @return to be closed by the caller
   * @throws FormatException if it is no such file, is cut off, or its header has tensors of other
   *     types, out of their places, or metadata that the format does not allow; names file and
   *     tensor or key
   * @throws IOException if reading fails
   */
  public static Gguf open(Path file) throws IOException {
    var channel = FileChannel.open(BoundedFile.regular(file), StandardOpenOption.READ);
    try {
      return new Gguf(file, channel, GgufHeader.read(new GgufInput(file, channel)));
    } catch (Throwable e) {
      channel.close();
      throw e;
    }
  }

  /** {@return the metadata by key, in the file's order} */
  public Map<String, GgufValue> metadata() {
    return metadata;
  }
}
