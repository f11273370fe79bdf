package org.prunepeft.testing;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.StandardOpenOption;
import java.nio.file.WatchService;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.spi.FileSystemProvider;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The default file system, but for writes: one of them, or all from one on, fail as on a full disk.
 * A write is what makes a file or a directory, renames or links it, writes bytes to it (half of
 * which are then there), or has the disk keep them. Or writes of bytes are short, as a system's may
 * be: they take a part of the bytes, fail not, and say how many. It knows too what the disk was not
 * asked to keep. Not for two threads at once.
 */
public final class FailingWrites {
  /** What a failed write says. */
  public static final String REASON = "No space left on device";

  private final FileSystem system = new Wrapped();
  private int left;
  private boolean andLater;
  private boolean failed;
  private boolean halves;
  private int leftToFill;
  private boolean full;

  /** Files that were written, and directories in which one was made, since they were synced. */
  private final Set<Path> unsynced = new TreeSet<>();

  /**
   * Has the n-th write from now on fail.
   *
   * @param n from 1 on; 0: none
   * @param andLater whether all that follow fail too
   */
  public void failAt(int n, boolean andLater) {
    left = n;
    this.andLater = andLater;
    failed = false;
  }

  /** Has every write of bytes from now on take half of them, and say so. */
  public void halve() {
    halves = true;
  }

  /**
   * Has the disk be full after a part of the n-th write of bytes from now on: that one takes half
   * of them, and says so; those that follow fail. All other writes work, such as renames.
   *
   * @param n from 1 on
   */
  public void fillAt(int n) {
    leftToFill = n;
    failed = false;
  }

  /** {@return whether a write has failed or met the end of the disk; none does from now on} */
  public boolean stop() {
    left = 0;
    halves = false;
    leftToFill = 0;
    full = false;
    return failed;
  }

  /**
   * {@return what a power cut may take: files that were written, and directories in which a file or
   * a directory was made or renamed, since the disk was asked to keep them; what was deleted does
   * not count}
   */
  public Set<Path> unsynced() {
    return Set.copyOf(unsynced);
  }

  private void written(Path path) {
    unsynced.add(other(path.toAbsolutePath()));
  }

  private void made(Path path) {
    written(path.toAbsolutePath().getParent());
  }

  /** {@return the path of the same file, in this file system} */
  public Path at(Path path) {
    return (Path)
        Proxy.newProxyInstance(
            Path.class.getClassLoader(),
            new Class<?>[] {Path.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("getFileSystem")) {
                return system;
              }
              try {
                return own(method.invoke(path, others(arguments)));
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  private static Object[] others(Object[] arguments) {
    Object[] others = arguments == null ? new Object[0] : arguments.clone();
    for (int i = 0; i < others.length; i++) {
      if (others[i] instanceof Path path) {
        others[i] = other(path);
      }
    }
    return others;
  }

  private Object own(Object result) {
    if (result instanceof Path path) {
      return at(path);
    }
    return result instanceof Iterator<?> paths ? ownPaths(paths) : result;
  }

  private Iterator<Path> ownPaths(Iterator<?> paths) {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return paths.hasNext();
      }

      @Override
      public Path next() {
        return at((Path) paths.next());
      }
    };
  }

  /** The path of the same file in the default file system. */
  private static Path other(Path path) {
    return Path.of(path.toString());
  }

  private boolean fails() {
    if (left == 0 || --left > 0) {
      return false;
    }
    left = andLater ? 1 : 0;
    failed = true;
    return true;
  }

  private void write() throws IOException {
    if (fails()) {
      throw new IOException(REASON);
    }
  }

  /** {@return how many of so many bytes a write takes, if the disk is not full} */
  private int taken(int bytes) throws IOException {
    boolean fills = leftToFill > 0 && --leftToFill == 0;
    if (fills) {
      full = true;
      failed = true;
    }
    int taken = fills ? bytes / 2 : halves ? (bytes + 1) / 2 : bytes;
    if (full && bytes > 0 && (taken == 0 || !fills)) {
      throw new IOException(REASON);
    }
    return taken;
  }

  private final class Channel extends FileChannel {
    private final Path path;
    private final FileChannel other;

    Channel(Path path, FileChannel other) {
      this.path = path;
      this.other = other;
    }

    private void half(ByteBuffer from) throws IOException {
      written(path);
      if (fails()) {
        other.write(from.slice(from.position(), from.remaining() / 2));
        throw new IOException(REASON);
      }
    }

    /** The bytes that a write takes, which it leaves behind in the buffer. */
    private ByteBuffer take(ByteBuffer from) throws IOException {
      int count = taken(from.remaining());
      ByteBuffer part = from.slice(from.position(), count);
      from.position(from.position() + count);
      return part;
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
      half(from);
      return other.write(take(from));
    }

    @Override
    public long write(ByteBuffer[] from, int offset, int length) throws IOException {
      half(from[offset]);
      return other.write(take(from[offset]));
    }

    @Override
    public int write(ByteBuffer from, long position) throws IOException {
      write();
      return other.write(take(from), position);
    }

    @Override
    public void force(boolean metaData) throws IOException {
      FailingWrites.this.write();
      other.force(metaData);
      unsynced.remove(other(path.toAbsolutePath()));
    }

    private void write() throws IOException {
      written(path);
      FailingWrites.this.write();
    }

    @Override
    public int read(ByteBuffer to) throws IOException {
      return other.read(to);
    }

    @Override
    public long read(ByteBuffer[] to, int offset, int length) throws IOException {
      return other.read(to, offset, length);
    }

    @Override
    public int read(ByteBuffer to, long position) throws IOException {
      return other.read(to, position);
    }

    @Override
    public long position() throws IOException {
      return other.position();
    }

    @Override
    public FileChannel position(long position) throws IOException {
      other.position(position);
      return this;
    }

    @Override
    public long size() throws IOException {
      return other.size();
    }

    @Override
    public FileChannel truncate(long size) throws IOException {
      written(path);
      other.truncate(size);
      return this;
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel to) throws IOException {
      return other.transferTo(position, count, to);
    }

    @Override
    public long transferFrom(ReadableByteChannel from, long position, long count)
        throws IOException {
      write();
      return other.transferFrom(from, position, count);
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) throws IOException {
      return other.map(mode, position, size);
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) throws IOException {
      return other.lock(position, size, shared);
    }

    @Override
    public FileLock tryLock(long position, long size, boolean shared) throws IOException {
      return other.tryLock(position, size, shared);
    }

    @Override
    protected void implCloseChannel() throws IOException {
      other.close();
    }
  }

  private final class Provider extends FileSystemProvider {
    private final FileSystemProvider other = FileSystems.getDefault().provider();

    @Override
    public FileChannel newFileChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      boolean writes =
          options.contains(StandardOpenOption.WRITE) || options.contains(StandardOpenOption.APPEND);
      boolean makes = writes && Files.notExists(other(path));
      if (writes) {
        write();
      }
      FileChannel channel = other.newFileChannel(other(path), options, attributes);
      if (makes) {
        made(path);
        written(path);
      } else if (options.contains(StandardOpenOption.TRUNCATE_EXISTING)) {
        written(path);
      }
      // A directory is opened to be synced.
      return writes || Files.isDirectory(other(path)) ? new Channel(path, channel) : channel;
    }

    private Path other(Path path) {
      return FailingWrites.other(path);
    }

    @Override
    public SeekableByteChannel newByteChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      return newFileChannel(path, options, attributes);
    }

    @Override
    public void createDirectory(Path directory, FileAttribute<?>... attributes) throws IOException {
      boolean makes = !Files.exists(directory);
      if (makes) {
        write();
      }
      other.createDirectory(other(directory), attributes);
      if (makes) {
        made(directory);
      }
    }

    @Override
    public void move(Path from, Path to, CopyOption... options) throws IOException {
      write();
      other.move(other(from), other(to), options);
      made(to);
      unsynced.remove(other(to.toAbsolutePath()));
      if (unsynced.remove(other(from.toAbsolutePath()))) {
        written(to);
      }
    }

    @Override
    public void copy(Path from, Path to, CopyOption... options) throws IOException {
      write();
      other.copy(other(from), other(to), options);
      made(to);
      written(to);
    }

    @Override
    public void createSymbolicLink(Path link, Path to, FileAttribute<?>... attributes)
        throws IOException {
      write();
      other.createSymbolicLink(other(link), other(to), attributes);
      made(link);
    }

    @Override
    public void createLink(Path link, Path existing) throws IOException {
      write();
      other.createLink(other(link), other(existing));
      made(link);
    }

    @Override
    public void delete(Path path) throws IOException {
      other.delete(other(path));
      unsynced.remove(other(path.toAbsolutePath()));
    }

    @Override
    public DirectoryStream<Path> newDirectoryStream(
        Path directory, DirectoryStream.Filter<? super Path> filter) throws IOException {
      DirectoryStream<Path> paths =
          other.newDirectoryStream(other(directory), path -> filter.accept(at(path)));
      return new DirectoryStream<>() {
        @Override
        public Iterator<Path> iterator() {
          return ownPaths(paths.iterator());
        }

        @Override
        public void close() throws IOException {
          paths.close();
        }
      };
    }

    @Override
    public boolean isSameFile(Path one, Path two) throws IOException {
      return other.isSameFile(other(one), other(two));
    }

    @Override
    public boolean isHidden(Path path) throws IOException {
      return other.isHidden(other(path));
    }

    @Override
    public FileStore getFileStore(Path path) throws IOException {
      return other.getFileStore(other(path));
    }

    @Override
    public void checkAccess(Path path, AccessMode... modes) throws IOException {
      other.checkAccess(other(path), modes);
    }

    @Override
    public Path readSymbolicLink(Path link) throws IOException {
      return at(other.readSymbolicLink(other(link)));
    }

    @Override
    public <V extends FileAttributeView> V getFileAttributeView(
        Path path, Class<V> type, LinkOption... options) {
      return other.getFileAttributeView(other(path), type, options);
    }

    @Override
    public <A extends BasicFileAttributes> A readAttributes(
        Path path, Class<A> type, LinkOption... options) throws IOException {
      return other.readAttributes(other(path), type, options);
    }

    @Override
    public Map<String, Object> readAttributes(Path path, String names, LinkOption... options)
        throws IOException {
      return other.readAttributes(other(path), names, options);
    }

    @Override
    public void setAttribute(Path path, String name, Object value, LinkOption... options)
        throws IOException {
      other.setAttribute(other(path), name, value, options);
    }

    @Override
    public String getScheme() {
      return "failing-writes";
    }

    @Override
    public FileSystem newFileSystem(URI uri, Map<String, ?> environment) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileSystem getFileSystem(URI uri) {
      return system;
    }

    @Override
    public Path getPath(URI uri) {
      throw new UnsupportedOperationException();
    }
  }

  private final class Wrapped extends FileSystem {
    private final FileSystem other = FileSystems.getDefault();
    private final Provider provider = new Provider();

    @Override
    public FileSystemProvider provider() {
      return provider;
    }

    @Override
    public Path getPath(String first, String... more) {
      return at(other.getPath(first, more));
    }

    @Override
    public void close() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public boolean isReadOnly() {
      return false;
    }

    @Override
    public String getSeparator() {
      return other.getSeparator();
    }

    @Override
    public Iterable<Path> getRootDirectories() {
      return () -> ownPaths(other.getRootDirectories().iterator());
    }

    @Override
    public Iterable<FileStore> getFileStores() {
      return other.getFileStores();
    }

    @Override
    public Set<String> supportedFileAttributeViews() {
      return other.supportedFileAttributeViews();
    }

    @Override
    public PathMatcher getPathMatcher(String pattern) {
      return path -> other.getPathMatcher(pattern).matches(FailingWrites.other(path));
    }

    @Override
    public UserPrincipalLookupService getUserPrincipalLookupService() {
      return other.getUserPrincipalLookupService();
    }

    @Override
    public WatchService newWatchService() throws IOException {
      return other.newWatchService();
    }
  }
}
