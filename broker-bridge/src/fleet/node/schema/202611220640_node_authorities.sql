-- SHA-256 (hexadecimal) of the certificate authorities that the node was told of with its newest certificate; nothing for a node that was
-- enrolled before this was written down. By it a rotation knows which nodes still trust the former authority alone.
ALTER TABLE node ADD COLUMN authorities TEXT;
