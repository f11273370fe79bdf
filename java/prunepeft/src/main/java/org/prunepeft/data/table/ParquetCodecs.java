package org.prunepeft.data.table;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import org.apache.parquet.ParquetReadOptions;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.compression.CompressionCodecFactory;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;

/**
 * Decompression of Parquet's pages: Apache's codecs, and gzip by the JDK, where Apache's takes
 * Hadoop's.
 */
final class ParquetCodecs implements CompressionCodecFactory {
  /**
   * How many bytes a compressed one gives at most, by each codec's format. Snappy: 64 by a copy of
   * three. Deflate: 258 by two bits. LZ4: 255 by a byte of a length. Zstandard: a block of 128 KiB,
   * all the same byte, by four.
   */
  private static final Map<CompressionCodecName, Integer> MOST =
      new EnumMap<>(
          Map.of(
              CompressionCodecName.UNCOMPRESSED,
              1,
              CompressionCodecName.SNAPPY,
              22,
              CompressionCodecName.GZIP,
              1032,
              CompressionCodecName.ZSTD,
              32_768,
              CompressionCodecName.LZ4_RAW,
              255));

  /** Those that need no class of Hadoop's. */
  static final Set<CompressionCodecName> READABLE = Collections.unmodifiableSet(MOST.keySet());

  private final CompressionCodecFactory apache =
      ParquetReadOptions.builder().build().getCodecFactory();

  /** {@return how many bytes so many compressed ones give at most} */
  static long most(CompressionCodecName codec, int compressed) {
    return (long) MOST.get(codec) * compressed;
  }

  @Override
  public BytesInputCompressor getCompressor(CompressionCodecName codec) {
    return apache.getCompressor(codec);
  }

  @Override
  public BytesInputDecompressor getDecompressor(CompressionCodecName codec) {
    return codec == CompressionCodecName.GZIP ? new Gzip() : apache.getDecompressor(codec);
  }

  @Override
  public void release() {
    apache.release();
  }

  private static final class Gzip implements BytesInputDecompressor {
    @Override
    public BytesInput decompress(BytesInput compressed, int size) throws IOException {
      return BytesInput.from(decompressed(compressed.toInputStream(), size));
    }

    @Override
    public void decompress(ByteBuffer compressed, int from, ByteBuffer target, int size)
        throws IOException {
      byte[] bytes = new byte[from];
      compressed.get(bytes);
      target.put(decompressed(new java.io.ByteArrayInputStream(bytes), size));
    }

    /** Takes no more memory than there is content, whatever size is claimed. */
    private static byte[] decompressed(InputStream compressed, int size) throws IOException {
      try (InputStream content = new GZIPInputStream(compressed)) {
        byte[] bytes = content.readNBytes(size);
        if (bytes.length < size || content.read() >= 0) {
          throw new EOFException(
              "a page does not have the %d bytes that it claims".formatted(size));
        }
        return bytes;
      }
    }

    @Override
    public void release() {}
  }
}
