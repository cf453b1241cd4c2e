"""The site's word for the key that the desk signs custody receipts with: asked for by the public part that lies in the
desk's folder, given in a small file that the desk reads; given anew when either key is another, or time is running
out."""

import json

import structlog

from agent.config import Settings
from agent.store.journal import Journal
from agent.vault.receipt import VALID_NS, BadReceipt, certified, certify
from agent.vault.secretfile import make_folder, write_private
from agent.vault.signing import SiteKey, load_public

log = structlog.get_logger()


def certify_receipt_key(settings: Settings, site_key: SiteKey, now_ns: int, journal: Journal) -> bool:
    """Certify the desk's key unless that is done; returns whether it was done now. Without a key there is nothing to
    do. Raises OSError.

    The line of the journal comes after the file: a certificate that is there and has none is given, and told, again
    when the key changes. Nobody but the desk can write where its key lies.
    """
    public_path = settings.receipt_key_path.with_name(settings.receipt_key_path.name + ".pub")
    try:
        public = load_public(public_path)
    except FileNotFoundError:
        return False
    except ValueError as error:
        log.error("receipt_key.unusable", error=str(error))
        return False
    path = settings.receipt_certificate_path
    try:
        body = certified(json.loads(path.read_bytes()), site_key.public)
        good = body["public_key"] == public.hex() and body["site"] == settings.site.name
        if good and now_ns < body["until_ns"] - VALID_NS // 4:
            return False
    except (FileNotFoundError, ValueError, BadReceipt):
        pass
    make_folder(path.parent)
    write_private(path, json.dumps(certify(settings.site.name, public, site_key, now_ns)).encode())
    journal.append("receipt_key.certified", public_key=public.hex())
    log.info("receipt_key.certified", public_key=public.hex())
    return True
