"""Makes an activation, with which devices register as nodes, shows those there are, and removes it again.

    python activations.py
"""

from datetime import datetime, timedelta, timezone

import boto3

ssm = boto3.client("ssm")


def create(devices, hours):
    """An activation for so many devices within so many hours. Its code is a secret, and only this answer has it."""
    made = ssm.create_activation(
        Description="made by examples/python/activations.py",
        DefaultInstanceName="example",
        IamRole="none",
        RegistrationLimit=devices,
        ExpirationDate=datetime.now(timezone.utc) + timedelta(hours=hours),
        # Every node that registers with it gets these tags.
        Tags=[{"Key": "site", "Value": "example"}],
    )
    return made["ActivationId"], made["ActivationCode"]


def activations():
    for page in ssm.get_paginator("describe_activations").paginate():
        yield from page["ActivationList"]


def main():
    activation_id, code = create(devices=3, hours=1)
    try:
        print(f"on each device, type: flotilla-agent register --activation -  and give it the code, {len(code)} characters")
        for activation in activations():
            used = f"{activation['RegistrationsCount']} of {activation['RegistrationLimit']} used"
            print(activation["ActivationId"], activation.get("DefaultInstanceName", ""), used, "expired" if activation["Expired"] else "")
    finally:
        ssm.delete_activation(ActivationId=activation_id)


if __name__ == "__main__":
    main()
