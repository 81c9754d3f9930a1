import { z } from "zod";
import type { Deployment } from "../deployment.ts";
import { backupOf } from "../transfer/backup.ts";
import { FinishUpload } from "../transfer/import.ts";
import { bodyChunks, readJson } from "./body.ts";
import { HttpProblem } from "./problem.ts";
import type { Handler } from "./server.ts";

const PART_BYTES_MAX = 1024 * 1024 * 1024;
const PerformImport = z.object({ importId: z.string() });

/** What `convex export`, `convex import` and `tyto backup` ask for; all of it is for admins. */
export function transferRoutes({ exports, imports, snapshots }: Deployment): Record<string, Handler> {
  return {
    "POST /api/export/request/zip": (_request, _requester, { searchParams }) => {
      exports.request(searchParams.get("includeStorage") === "true");
      return Response.json({});
    },
    "GET /api/export/zip": (_request, _requester, { pathname }) =>
      exports.file(pathname.slice("/api/export/zip/".length)),

    "POST /api/import/start_upload": () => Response.json(imports.startUpload()),
    "POST /api/import/upload_part": async (request, _requester, { searchParams }) => {
      const token = searchParams.get("uploadToken");
      if (token === null) throw new HttpProblem(400, "InvalidUpload", "uploadToken is missing");
      return Response.json(await imports.uploadPart(token, bodyChunks(request, PART_BYTES_MAX)));
    },
    "POST /api/import/finish_upload": async (request) =>
      Response.json(imports.finishUpload(await readJson(request, FinishUpload))),
    "POST /api/perform_import": async (request) => {
      imports.perform((await readJson(request, PerformImport)).importId);
      return Response.json({});
    },

    "GET /api/tyto/backup": async () => backupOf(await snapshots.take()),
  };
}
