package org.prunepeft.data.table;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.EnumSet;
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
  /** Those that need no class of Hadoop's. */
  static final Set<CompressionCodecName> READABLE =
      EnumSet.of(
          CompressionCodecName.UNCOMPRESSED,
          CompressionCodecName.SNAPPY,
          CompressionCodecName.GZIP,
          CompressionCodecName.ZSTD,
          CompressionCodecName.LZ4_RAW);

  private final CompressionCodecFactory apache =
      ParquetReadOptions.builder().build().getCodecFactory();

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
