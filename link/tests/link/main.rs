//! The link against a real mosquitto, and against a scripted broker for what mosquitto never says.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod mosquitto;
#[cfg(test)]
mod scripted;

#[cfg(test)]
mod with_lost_network;
#[cfg(test)]
mod with_mosquitto;
#[cfg(test)]
mod with_poison;
#[cfg(test)]
mod with_scripted_broker;
