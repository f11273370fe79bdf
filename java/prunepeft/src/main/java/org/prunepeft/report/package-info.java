/**
 * What a run says: how far it is, its metrics, what it found, and the versions that it ran with.
 * {@link org.prunepeft.report.ProgressListener} follows one that goes on; {@link
 * org.prunepeft.report.RunStatus} looks at a directory.
 */
package org.prunepeft.report;
