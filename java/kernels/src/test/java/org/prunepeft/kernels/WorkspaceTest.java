package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;

class WorkspaceTest {
  @Test
  void growsToTheLargestRequestAndIsUsedAgain() {
    try (Workspace workspace = new Workspace()) {
      assertEquals(0, workspace.bytes());
      long large = workspace.atLeast(Device.cpu(), 100_000).address();
      assertTrue(workspace.bytes() >= 100_000);
      assertEquals(large, workspace.atLeast(Device.cpu(), 10).address());
      assertTrue(workspace.atLeast(Device.cpu(), 200_000).capacity() >= 200_000);
    }
  }

  @Test
  void requestOfNothingGivesMemoryAllTheSame() {
    try (Workspace workspace = new Workspace()) {
      assertFalse(workspace.atLeast(Device.cpu(), 0).isNull());
    }
  }

  @Test
  void outlivesThePointerScopeOfItsRequest() {
    try (Workspace workspace = new Workspace()) {
      BytePointer memory;
      try (PointerScope scope = new PointerScope()) {
        assertNotNull(scope);
        memory = workspace.atLeast(Device.cpu(), 5000);
      }
      assertFalse(memory.isNull());
      memory.put(4999, (byte) 1);
    }
  }

  @Test
  void closedWorkspaceHoldsNothingAndMayBeUsedAgain() {
    Workspace workspace = new Workspace();
    BytePointer memory = workspace.atLeast(Device.cpu(), 5000);
    workspace.close();
    workspace.close();
    assertEquals(0, workspace.bytes());
    assertTrue(memory.isNull());
    assertFalse(workspace.atLeast(Device.cpu(), 10).isNull());
    workspace.close();
  }
}
