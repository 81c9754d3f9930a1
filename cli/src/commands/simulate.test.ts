import { expect, test } from "bun:test";
import { command } from "./simulate.ts";

test.each([
  [["--days", "0"], '--days takes a whole number from 1 to 365, not "0"'],
  [["--volume", "many"], "--volume takes a whole number from 1 to 3000000"],
  [["--mix", "hotmale=3"], "--mix takes google, microsoft, yahoo, apple, other with their parts"],
  [["--mix", "google=0"], "--mix needs a part that is more than 0"],
  [["--unknown", "200"], "--unknown takes a percentage from 0 to 100"],
  [["--speed", "9"], "--speed"],
])("%j is refused with what it takes", async (args, message) => {
  await expect(command.run(args)).rejects.toThrow(message);
});
