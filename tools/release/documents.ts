/** The SBOM of each single file, and the licences of what is in all of them. The chunks are those of dist/, and so are the packages. */
import { writeReleaseDocuments } from '../release-documents.ts';
import { architectures, type ReleaseStep } from './step.ts';

export const documents: ReleaseStep = {
  name: 'SBOM and licences',
  async run({ folder }) {
    await writeReleaseDocuments(folder, architectures);
  },
};
