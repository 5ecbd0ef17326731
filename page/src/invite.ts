/** The invitation of this tab: `#invite=TOKEN` in the address it was opened with. */

const KEY = "voicedeploy.invite";

/** Takes the invitation out of the address bar (and so out of history, screenshots and shared links) and keeps it for a reload. */
export function takeInvite(): string | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("invite");
  if (given) {
    store(given);
    history.replaceState(null, "", location.pathname + location.search);
    return given;
  }
  return stored();
}

function store(invite: string): void {
  try {
    sessionStorage.setItem(KEY, invite);
  } catch {
    // Storage may be forbidden; the invitation then lives only as long as the page.
  }
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
